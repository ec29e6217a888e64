"""Tells the running libvirt daemon that there is a hook now: it looks for hooks when it starts
or reloads, and needs that once, for the first one.

Who is told is who holds the POSIX lock on the daemon's pid file: a number in a file may by now be
another process's. What is owed is written down before the hook is installed, so that a kill between
the two does not leave a daemon that never hears of it.
"""

import fcntl
import os
import signal
import struct
from dataclasses import dataclass

from uuidfs import fs
from uuidfs.dirs import opened
from uuidfs.errors import SystemCallFailed, UsageError
from uuidfs.layout import Layout
from uuidfs.lockdir import make_lock_directory

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
        with fs.closing(fd):
            fs.write_file(fd, OWED, b"")


def settle(layout: Layout) -> Reloaded:
    """Tell the daemons if that is owed, and forget it. Raises SystemCallFailed; then it still is.

    A daemon that is not running looks for hooks when it starts.
    """
    fd = _run_directory(layout)
    if fd is None:
        return Reloaded(())
    with fs.closing(fd):
        if fs.look(fd, OWED) is None:
            return Reloaded(())
        told = Reloaded(
            tuple(
                f"{name} (pid {pid})"
                for name in DAEMONS
                if (pid := _hang_up(f"{os.path.dirname(layout.locks.parent.path)}/{name}.pid"))
            )
        )
        fs.unlink(fd, OWED)
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
    with fs.closing(fd):
        try:
            pid = _holder(fd)
            if not pid:
                return None
            process = os.pidfd_open(pid)
            with fs.closing(process):
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
