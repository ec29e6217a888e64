"""Tells whether a scan may still be relied on: whether names came or went since it began."""

import os
import time
from functools import partial
from typing import NamedTuple

from uuidfs.errors import UuidfsError
from uuidfs.files.directory import opened
from uuidfs.files.entry import SECOND, is_whole_second
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind

_TICK = 100_000_000
"""Nanoseconds. File systems take their times from a clock that ticks every 1 to 10 ms, so a
directory that was changed just before a scan may be changed during it and show the same time."""


class Stamp(NamedTuple):
    """The directories that libvirt names files in; taken *before* a scan lists them."""

    seen: tuple[object, ...]  # of each directory
    settled: bool  # whether each later change shows

    def is_current(self, dirs: TrustedDirs) -> bool:
        """Whether a scan that began then would find the same names now.

        May say no without need, never yes in error. Adding, removing, renaming and exchanging
        entries changes a directory's times (rename(2) and the file systems of Linux). A directory
        that cannot be looked at makes it no.
        """
        return self.settled and self.seen == stamp(dirs).seen


def stamp(dirs: TrustedDirs) -> Stamp:
    """What :meth:`Stamp.is_current` is asked of later."""
    dirs.look_again()  # what was missing may be there by now
    now, settled = time.time_ns(), True
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
        # Not the mtime, which a directory's owner can set to a day in the future.
        settled = settled and shows_later(status.st_ctime_ns, now)
        seen.append((status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
    return Stamp(tuple(seen), settled)


def shows_later(changed: int, now: int) -> bool:
    """Whether what is changed from ``now`` on gets another time than ``changed``; both are in
    nanoseconds since the epoch."""
    return changed + (SECOND + _TICK if is_whole_second(changed) else _TICK) < now


def _names(dirs: TrustedDirs, kind: Kind) -> os.stat_result | None:
    names = dirs.names(kind)
    return names.status() if names is not None else None


def _status(dirs: TrustedDirs) -> os.stat_result | None:
    directory = opened(dirs.layout.status)
    if directory is None:
        return None
    with directory:
        return directory.status()
