"""Asks the running libvirt daemon what a domain is called.

Only ``check --repair`` and the reconciler need this, to finish a rename that was cut in half.
virsh is asked, and the absence of a daemon is an answer.
"""

import fcntl
import os
import shutil
import signal
import struct
import subprocess
from dataclasses import dataclass

from uuidfs.errors import SystemCallFailed, UsageError, UuidfsError
from uuidfs.files import change
from uuidfs.files.directory import closing, opened
from uuidfs.files.entry import look
from uuidfs.files.small import write_file
from uuidfs.layout.places import Layout
from uuidfs.runtime.flock import make_lock_directory

TIMEOUT = 10.0  # seconds; a daemon that takes longer has not answered


class NoAnswerError(UuidfsError):
    """A daemon may be running, but did not say what the domain is called."""


def runs(layout: Layout) -> bool:
    """Whether a libvirt daemon that handles QEMU runs for this layout.

    Told by the lock that it keeps on its pid file (virPidFileAcquirePath, libvirt 9.0 and 11.3),
    never by connecting: at boot systemd listens on the daemon's socket before the daemon runs,
    and a daemon that waits for ``uuidfs check`` cannot answer it. F_GETLK takes no lock, so a
    daemon that starts in this moment is not kept from its own.
    """
    # /run/libvirt/qemu -> /run; for a session RUNTIME/libvirt/qemu/run -> RUNTIME/libvirt.
    directory = os.path.dirname(os.path.dirname(layout.status.path))
    return any(_locked(f"{directory}/{name}.pid") for name in ("libvirtd", "virtqemud"))


def _locked(path: str) -> bool:
    # struct flock, Linux: type, whence, start, length, pid.
    question = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        with open(path, "rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, question)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise NoAnswerError(f"cannot tell whether libvirt runs: {path}: {error}") from error
    return bool(struct.unpack_from("h", answer)[0] != fcntl.F_UNLCK)


def name_of(layout: Layout, uuid: str) -> str | None:
    """Return the name libvirt knows for a UUID, or None when no daemon runs for this layout.

    Raises NoAnswerError when that cannot be told: then nothing may be repaired.
    """
    if not layout.live or not runs(layout):
        return None
    virsh = shutil.which("virsh")
    if virsh is None:
        raise NoAnswerError("cannot ask libvirt for the domain's name: virsh is not installed")
    command = [virsh, "--connect", layout.uri, "--quiet", "domname", uuid]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, and a UUID that was checked
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoAnswerError(f"cannot ask libvirt for the domain's name: {error}") from error
    if done.returncode == 0:
        return done.stdout.rstrip("\n")
    if "Failed to connect socket" in done.stderr or "Connection refused" in done.stderr:
        return None
    message = " ".join(done.stderr.split())
    raise NoAnswerError(f"libvirt did not tell the domain's name: {message}")


DAEMONS = ("libvirtd", "virtqemud")

OWED = "reload-owed"

_FLOCK = "hhqqi"  # struct flock: type, whence, start, length, pid


@dataclass(frozen=True)
class Reloaded:
    """The daemons that were told, as "libvirtd (pid 4711)"; none when none runs."""

    daemons: tuple[str, ...]


def refuse_elsewhere(layout: Layout) -> None:
    """Raise UsageError for a layout that no running daemon looks at."""
    if not layout.live or layout.uri != "qemu:///system":
        raise UsageError("--reload is for the host's own qemu:///system")


def owe(layout: Layout) -> None:
    """Write down that the daemon has to be told. Raises UuidfsError."""
    make_lock_directory(layout.locks)
    fd = _run_directory(layout)
    if fd is not None:
        with closing(fd):
            write_file(fd, OWED, b"")


def send_reload(layout: Layout) -> Reloaded:
    """Tell the daemons if that is owed, and forget it. Raises SystemCallFailed; then it still is.

    A daemon that is not running looks for hooks when it starts.
    """
    fd = _run_directory(layout)
    if fd is None:
        return Reloaded(())
    with closing(fd):
        if look(fd, OWED) is None:
            return Reloaded(())
        told = Reloaded(
            tuple(
                f"{name} (pid {pid})"
                for name in DAEMONS
                if (pid := _hang_up(f"{os.path.dirname(layout.locks.parent.path)}/{name}.pid"))
            )
        )
        change.unlink(fd, OWED)
    return told


def _run_directory(layout: Layout) -> int | None:
    return opened(layout.locks.parent)


def _hang_up(path: str) -> int | None:
    """SIGHUP for the holder of the lock; None when nobody holds it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SystemCallFailed("open", path, error) from error
    with closing(fd):
        try:
            pid = _holder(fd)
            if not pid:
                return None
            process = os.pidfd_open(pid)
            with closing(process):
                if _holder(fd) != pid:  # ended, and the number may be another process's
                    return None
                signal.pidfd_send_signal(process, signal.SIGHUP)
        except ProcessLookupError:
            return None
        except OSError as error:
            raise SystemCallFailed("tell the daemon of", path, error) from error
    return pid


def _holder(fd: int) -> int:
    """The process that holds a lock on the file; 0 when none does."""
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return 0 if kind == fcntl.F_UNLCK else max(pid, 0)
