"""Tells whether a scan may still be relied on: whether names came or went since it began."""

import os
import time
from functools import partial
from typing import NamedTuple

from uuidfs.errors import UuidfsError
from uuidfs.files.directory import opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind

_TICK = 100_000_000
"""Nanoseconds. File systems take their times from a clock that ticks every 1 to 10 ms, so a
directory that was changed just before a scan may be changed during it and show the same time."""


class Stamp(NamedTuple):
    """The directories that libvirt names files in; taken *before* a scan lists them."""

    taken: int  # nanoseconds since the epoch
    seen: tuple[object, ...]  # of each directory
    newest: int  # of all its times

    def is_current(self, dirs: TrustedDirs) -> bool:
        """Whether a scan that began then would find the same names now.

        May say no without need, never yes in error. Adding, removing, renaming and exchanging
        entries changes a directory's mtime (rename(2) and the file systems of Linux). A directory
        that cannot be looked at makes it no.
        """
        return self.newest + _TICK < self.taken and self.seen == stamp(dirs).seen


def stamp(dirs: TrustedDirs) -> Stamp:
    """What :meth:`Stamp.is_current` is asked of later."""
    taken, newest = time.time_ns(), 0
    seen: list[object] = []
    looks = [partial(_names, dirs, kind) for kind in Kind]
    for look in (*looks, partial(_status, dirs)):
        try:
            status = look()
        except UuidfsError:
            seen.append(object())  # the scan reports it; it is equal to nothing
            continue
        if status is None:
            seen.append(None)
            continue
        newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
        seen.append((status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
    return Stamp(taken, tuple(seen), newest)


def _names(dirs: TrustedDirs, kind: Kind) -> os.stat_result | None:
    names = dirs.names(kind)
    return names.status() if names is not None else None


def _status(dirs: TrustedDirs) -> os.stat_result | None:
    directory = opened(dirs.layout.status)
    if directory is None:
        return None
    with directory:
        return directory.status()
