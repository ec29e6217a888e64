"""Whether QEMU's own locks keep a guest's disks from two writers (docs/system/images, QEMU 2.10).

A QEMU process that may write to an image holds a lock on byte 201 of it, "nobody else writes", and
a second one that wants to run finds it taken. For shareable disks it does not, nor for network
disks and where a file system has no locks.
"""

import fcntl
import os
import struct
from collections.abc import Iterator

from lxml import etree

_UNSHARED_WRITE = 201  # RAW_LOCK_SHARED_BASE + the bit of BLK_PERM_WRITE, block/file-posix.c

_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid; padded to its size

_GETLK = 36  # F_OFD_GETLK, Linux 3.15


def held(live: etree._Element) -> bool:
    """Whether a second process could not run: at least one disk is locked by the first."""
    return any(_locked(path) for path in _paths(live))


def _paths(live: etree._Element) -> Iterator[str]:
    for disk in live.iterfind("devices/disk"):
        source = disk.find("source")
        if source is not None and disk.find("readonly") is None:
            yield from (path for key in ("file", "dev") if (path := source.get(key)))


def _locked(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _UNSHARED_WRITE, 1, 0)
        return bool(struct.unpack(_FLOCK, fcntl.fcntl(fd, _GETLK, asked))[0] != fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(fd)
