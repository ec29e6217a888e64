"""File systems in files, and a disk that notes every write and every flush that it gets.

The disk is a file that qemu-storage-daemon shows through FUSE, with a loop device over it. Its
driver blklogwrites keeps the log, in the format of the kernel's dm-log-writes.
"""

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
SECTOR = 512  # of the log
BLOCK = 4096  # of the file systems and the disk
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [*[ctypes.c_char_p] * 3, ctypes.c_ulong, ctypes.c_char_p]
_DETACH = 2
_DAEMON = "qemu-storage-daemon"
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@dataclass(frozen=True)
class FileSystem:
    """How one is made and mounted. Its own timers are long, so that they commit nothing."""

    name: str
    size: int
    make: tuple[str, ...]
    options: str = ""
    one_journal: bool = True  # whose commit, by whatever fsync(2), has all that came before


FILE_SYSTEMS = (
    FileSystem(
        "ext4",
        24 * MIB,
        ("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
        "commit=300",
    ),
    FileSystem("xfs", 300 * MIB, ("mkfs.xfs", "-q", "-f", "-K", "-s", "size=4096")),
    FileSystem(
        "btrfs",
        128 * MIB,
        ("mkfs.btrfs", "-q", "-f", "-K", "-n", "4096", "-m", "single"),
        "commit=300,nodiscard",
        one_journal=False,
    ),
)


def call(*words: str | os.PathLike[str]) -> str:
    """Run a program that has to succeed; what it printed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}".strip())
    return done.stdout.strip()


def missing(system: FileSystem) -> str | None:
    """Say what this machine lacks for a disk with this file system, or None."""
    if os.geteuid() != 0:
        return "not root"
    for program in (_DAEMON, "losetup", "mount", system.make[0]):
        if shutil.which(program, path=_PATH) is None:
            return f"no {program}"
    if not Path("/dev/fuse").exists():
        return "no /dev/fuse"
    if not any(line.split()[-1] == system.name for line in _known_file_systems()):
        return f"this kernel knows no {system.name}"
    return None


def _known_file_systems() -> list[str]:
    if modprobe := shutil.which("modprobe", path=_PATH):
        subprocess.run([modprobe, "-aq", "loop", "xfs", "btrfs"], capture_output=True, check=False)
    return Path("/proc/filesystems").read_text().splitlines()


def new_image(system: FileSystem, path: Path) -> Path:
    """An empty file system in a file."""
    with path.open("wb") as file:
        file.truncate(system.size)
    call(*system.make, path)
    return path


@contextmanager
def attached(file: Path, *options: str) -> Iterator[Path]:
    """A loop device over a file."""
    device = call("losetup", *options, "--find", "--show", file)
    try:
        yield Path(device)
    finally:
        call("losetup", "--detach", device)


@contextmanager
def mounted(system: FileSystem, device: Path, where: Path) -> Iterator[Path]:
    """Mount a device; OSError when the kernel does not want it. No program: that is quicker."""
    where.mkdir(exist_ok=True)
    place = os.fsencode(where)
    words = os.fsencode(device), place, system.name.encode(), 0, system.options.encode()
    if _libc.mount(*words) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {system.name}: {os.strerror(code)}")
    try:
        yield where
    finally:
        if _libc.umount2(place, 0) != 0:  # something holds it: out of sight, and told
            code = ctypes.get_errno()
            _libc.umount2(place, _DETACH)
            raise OSError(code, f"unmount {system.name}: {os.strerror(code)}")


@dataclass(frozen=True)
class LoggedDisk:
    """The device, and the file with the log of what was written to it."""

    device: Path
    log: Path


@contextmanager
def logged(image: Path, directory: Path) -> Iterator[LoggedDisk]:
    """Show an image as a device whose writes are logged. The image itself is written, too."""
    log, export = directory / "writes", directory / "export"
    with log.open("wb") as file:
        file.truncate(2048 * MIB)  # sparse; the driver does not make it grow
    export.touch()
    nodes = (
        f"driver=file,node-name=image,filename={image}",
        f"driver=file,node-name=log,filename={log}",
        f"driver=blklogwrites,node-name=logged,file=image,log=log,log-sector-size={SECTOR}",
    )
    words = [word for node in nodes for word in ("--blockdev", node)]
    show = f"type=fuse,id=export,node-name=logged,mountpoint={export},writable=on"
    daemon = subprocess.Popen([_DAEMON, *words, "--export", show])
    try:
        _wait_until_shown(daemon, export)
        # No direct I/O: the loop device then has one request under way at a time. QEMU 7.2 mixes
        # up the data of two writes. FUSE caches nothing: the export is opened for direct I/O.
        with attached(export, "--direct-io=off", "--sector-size", str(BLOCK)) as device:
            # One block a request: a disk writes no less at once.
            queue = Path("/sys/block", device.name, "queue")
            (queue / "max_sectors_kb").write_text(str(BLOCK // 1024))
            yield LoggedDisk(device, log)
        time.sleep(0.2)  # the kernel lets the device go a moment later
    finally:
        daemon.terminate()
        daemon.wait(60)


def _wait_until_shown(daemon: subprocess.Popen[bytes], export: Path) -> None:
    end = time.monotonic() + 60
    while export.stat().st_size == 0:
        if daemon.poll() is not None or time.monotonic() > end:
            raise OSError(f"{_DAEMON} does not show the image")
        time.sleep(0.02)
