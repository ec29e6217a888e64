"""Whether a file system gives file handles: by them one process finds another one's files again."""

import ctypes
import errno
import os
import re
from collections.abc import Iterator

_MAX = 128  # MAX_HANDLE_SZ of <fcntl.h>

_AT_FDCWD = -100

_NONE = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})

_libc = ctypes.CDLL(None, use_errno=True)


class _Handle(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.c_uint),
        ("type", ctypes.c_int),
        ("handle", ctypes.c_ubyte * _MAX),
    )


def given(path: str) -> bool:
    """Whether name_to_handle_at(2) gives one for this file. Raises OSError."""
    handle, mount = _Handle(bytes=_MAX), ctypes.c_int()
    if not _libc.name_to_handle_at(
        _AT_FDCWD, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount), 0
    ):
        return True
    number = ctypes.get_errno()
    if number in _NONE:
        return False
    raise OSError(number, os.strerror(number), path)


def mounts_in(directory: str, table: str = "/proc/self/mountinfo") -> Iterator[str]:
    """Where something is mounted below a real path: proc_pid_mountinfo(5)."""
    with open(table, errors="surrogateescape") as file:
        for line in file:
            path = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), line.split()[4])
            if path.startswith(f"{directory.rstrip('/')}/"):
                yield path
