"""Tells whether a scan may still be relied on: whether names came or went since it began."""

import os
import time
from typing import NamedTuple

from uuidfs.files.directory import opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind

_TICK = 100_000_000
"""Nanoseconds. File systems take their times from a clock that ticks every 1 to 10 ms, so a
directory that was changed just before a scan may be changed during it and show the same time."""

_Seen = tuple[int, int, int] | None
"""Inode number, mtime and ctime in nanoseconds of one directory; None where there is none."""


class Stamp(NamedTuple):
    """The directories that libvirt names files in; taken *before* a scan lists them."""

    taken: int  # nanoseconds since the epoch
    seen: tuple[_Seen, ...]

    def is_current(self, dirs: TrustedDirs) -> bool:
        """Whether a scan that began then would find the same names now.

        May say no without need, never yes in error. Adding, removing, renaming and exchanging
        entries changes a directory's mtime (rename(2) and the file systems of Linux). Raises
        UuidfsError where a directory cannot be looked at.
        """
        newest = max((max(seen[1:]) for seen in self.seen if seen is not None), default=0)
        return newest + _TICK < self.taken and self.seen == _look(dirs)


def stamp(dirs: TrustedDirs) -> Stamp:
    """What :meth:`Stamp.is_current` is asked of later. Raises UuidfsError."""
    return Stamp(time.time_ns(), _look(dirs))


def _look(dirs: TrustedDirs) -> tuple[_Seen, ...]:
    found: list[_Seen] = []
    for kind in Kind:
        names = dirs.names(kind)
        found.append(_seen_of(names.status()) if names is not None else None)
    status = opened(dirs.layout.status)
    if status is None:
        return (*found, None)
    with status:
        return (*found, _seen_of(status.status()))


def _seen_of(status: os.stat_result) -> _Seen:
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns
