"""A disk of a machine whose own systemd runs as a container here: seconds instead of minutes.

qemu-storage-daemon shows the disk through FUSE. This machine's kernel mounts its ext4 over a loop
device, and so replays the journal. systemd-nspawn then starts the disk's systemd, which starts all
units in their order. What a boot has and this has not: the disk's own kernel, AppArmor, the audit
daemon, cron, logins, and the network card.
"""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.host.host import PATIENCE, Host, HostError, copy_while_stopped
from tests.support.process import Done
from tests.support.process import run as run_here

_MASKED = (
    *("card.service", "audit-rules.service", "auditd.service", "ssh.service", "ssh.socket"),
    *("cron.service", "console-getty.service", "systemd-logind.service"),
    # Of root's inotify instances a kernel gives 128 to all containers together.
    *("systemd-ask-password-console.path", "systemd-ask-password-wall.path"),
)
_ENVIRONMENT = (
    *("HOME=/root", "LC_ALL=C.UTF-8"),
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)
# Process 1 of a PID and mount namespace, with which all of it goes. A control group of its own: two
# systemds in one would end each other's services.
_SCRIPT = r"""
set -eu
cd "$1"; cgroup=$2; top=${cgroup%/*}; shift 2
mkdir "$cgroup"
echo 0 >"$cgroup/cgroup.procs"
qemu-storage-daemon --blockdev driver=qcow2,node-name=d,file.driver=file,file.filename=disk.qcow2 \
    --export type=fuse,id=e,node-name=d,mountpoint=export,writable=on &
daemon=$!
while [ "$(stat -c %s export)" = 0 ]; do kill -0 $daemon; sleep 0.02; done
mount -t ext4 -o loop export root
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
code=133 # a reboot
while [ $code = 133 ]; do
    code=0
    systemd-nspawn --quiet --register=no --keep-unit --private-network --resolv-conf=off \
        --link-journal=no --timezone=off --console=pipe \
        --machine "${cgroup##*/}" --directory root --boot "$@" || code=$?
done
umount root
echo 0 >"$top/cgroup.procs" # now only the daemon is in there
kill $daemon
wait $daemon || true
find "$cgroup" -depth -type d -exec rmdir {} \;
"""


def missing() -> str | None:
    """Say what this machine lacks for a container, or None."""
    for program in ("systemd-nspawn", "qemu-storage-daemon", "nsenter", "unshare"):
        if shutil.which(program) is None:
            return f"no {program}"
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not Path(device).exists():
            return f"no {device}"
    return None if _control_groups() else "no cgroup2"


def _control_groups() -> Path | None:
    """Where the one hierarchy of control groups is mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    return None


class Container(Host):
    """One container, on a layer over the disk ``base``, which nothing writes to."""

    emulated = False

    def __init__(self, image: Path, directory: Path, base: Path) -> None:
        top = _control_groups()
        assert top
        self.image = image
        self._directory = directory
        self.disk = directory / "disk.qcow2"
        # Also the machine's name, which has letters, digits and "-" (systemd-nspawn).
        self._group = top / f"uuidfs-{directory.name.encode().hex()[-24:]}"
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0
        form = "raw" if base.suffix == ".raw" else "qcow2"
        create: list[str | Path] = [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-b",
            base,
            "-F",
            form,
            self.disk,
        ]
        subprocess.run(create, check=True)
        (directory / "export").touch()
        (directory / "root").mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._init:
            with contextlib.suppress(ProcessLookupError):
                # nspawn ends with it, and the script then unmounts.
                os.kill(self._init, signal.SIGKILL)
        if self._process:
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process, self._init = None, 0

    def boot(self) -> float:
        """Start systemd and wait until all units have started; the seconds that took."""
        began = time.monotonic()
        outer = ["setpriv", "--pdeathsig", "KILL"]
        outer += ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        masks = [f"systemd.mask={unit}" for unit in _MASKED]
        with (self._directory / "console").open("wb") as log:
            self._process = subprocess.Popen(
                [*outer, "bash", "-c", _SCRIPT, "-", self._directory, self._group, *masks],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_for_systemd(began)
        return time.monotonic() - began

    def reboot(self) -> float:
        """Reboot in good order and wait until all units have started; the seconds it took."""
        began = time.monotonic()
        self.run("systemctl reboot")
        self._wait_for_systemd(began)
        return time.monotonic() - began

    def power_off(self) -> None:
        """Shut down in good order; the disk is then complete."""
        self.run("systemctl poweroff")
        assert self._process
        self._process.wait(PATIENCE)
        self._init = 0

    def copy_disk(self, to: Path) -> None:
        """Copy the disk as a cut at this moment would leave it; the container then goes on.

        What the kernel has not written out to qemu-storage-daemon by now is not in the copy."""
        for pid in (self._group / "cgroup.procs").read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().startswith("qemu-storage"):
                copy_while_stopped(int(pid), self.disk, to)
                return
        raise HostError("no qemu-storage-daemon")

    def cut(self) -> None:
        """Cut the power: what the disk has not got by now is lost."""
        left = self._directory / "left"
        self.copy_disk(left)
        self._end()
        left.replace(self.disk)

    def _wait_for_systemd(self, began: float) -> None:
        """Wait for another process 1 than there was, and until it has nothing to start any more."""
        before = self._init
        while self._init == before:
            self._alive(began)
            with contextlib.suppress(OSError):
                found = (self._group / "payload/init.scope/cgroup.procs").read_text().split()
                self._init = int(found[0]) if found else before
            time.sleep(0.05)
        while self.settle() not in ("running", "degraded"):  # its socket comes a moment later
            self._alive(began)
            time.sleep(0.1)

    def _alive(self, began: float) -> None:
        assert self._process
        if self._process.poll() is not None or time.monotonic() - began > PATIENCE:
            said = (self._directory / "console").read_text(errors="replace")
            raise HostError(f"the container has ended, or does not start: {said[-3000:]}")

    def run(self, command: str, *, data: bytes = b"", timeout: float = PATIENCE) -> Done:
        """Run a command in the container's shell, as root."""
        return run_here(*self._inside(command), data=data, timeout=timeout)

    def start(self, command: str, said: Path) -> "subprocess.Popen[bytes]":
        """Start a command and do not wait for it; what it prints goes to a file. A cut ends it."""
        with said.open("wb") as out:
            return subprocess.Popen(
                self._inside(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def online(self, command: str, *, timeout: float = PATIENCE) -> Done:
        """Run a command in the container with this machine's network, which it has not itself."""
        proxies = [f"{k}={v}" for k, v in os.environ.items() if k.lower().endswith("_proxy")]
        words = self._inside(command, "muipC", *proxies)
        return run_here(*words, timeout=timeout)

    def _inside(self, command: str, namespaces: str = "muinpC", *more: str) -> list[str]:
        enter = ["nsenter", *(f"-{each}" for each in namespaces), "-t", str(self._init), "--"]
        return [*enter, "env", "-i", *_ENVIRONMENT, *more, "bash", "-c", f"cd; {command}"]

    def put(self, files: Sequence[Path], directory: str) -> None:
        """Copy files into a directory of the container, which is made."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for file in files:
                archive.add(file, file.name)
        self.do(f"mkdir -p '{directory}'; tar -x -o -C '{directory}'", data=packed.getvalue())
