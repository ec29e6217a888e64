"""Who holds a pid file: libvirt's daemons and its QEMU processes lock theirs while they live.

A number in a file may by now be another process's, and any user can give a process any name or
command line. The POSIX lock on a file that only root can open is the process's own
(virPidFileAcquirePath for daemons, virExec for QEMU; seen with libvirt 9.0 and 11.3).
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from uuidfs.errors import SystemCallFailed

_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid; padded to its size


@contextmanager
def pid_file(path: str) -> Iterator[int | None]:
    """Open a pid file for a block; None when there is none. Raises SystemCallFailed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    except OSError as error:
        raise SystemCallFailed("open", path, error) from error
    try:
        yield fd
    finally:
        os.close(fd)


def holder(fd: int) -> int | None:
    """The process that holds a POSIX lock on an open file; None when nobody does.

    0 stands for one in another PID namespace. F_GETLK takes no lock, so nobody who starts in
    this moment is kept from its own (fcntl(2)). Raises OSError.
    """
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else max(pid, 0)


def holder_of(path: str) -> int | None:
    """The same by the file's path; None when there is no file. Raises SystemCallFailed."""
    with pid_file(path) as fd:
        try:
            return holder(fd) if fd is not None else None
        except OSError as error:
            raise SystemCallFailed("ask for the lock of", path, error) from error
