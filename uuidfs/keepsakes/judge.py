"""Which files of QEMU's user's directories may be kept."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from uuidfs.errors import SystemCallFailed, UuidfsError
from uuidfs.files.directory import opened
from uuidfs.files.entry import Entry
from uuidfs.keepsakes.sources import Source


@contextmanager
def judged(source: Source, known: Entry | None, trusted: frozenset[int]) -> Iterator[int | None]:
    """A descriptor of a source that may be kept; None for all else.

    QEMU's user can put anything at its name: a link, a fifo, a second name of another domain's
    file. So it is a regular file, of root's or of its directory's owner, and it has no other name
    than a keepsake that it has already.
    """
    opened_here = _open(source)
    if opened_here is None:
        yield None
        return
    fd, owner = opened_here
    try:
        yield fd if _is_good(os.fstat(fd), owner, known, trusted) else None
    finally:
        os.close(fd)


def _open(source: Source) -> tuple[int, int] | None:
    """Its descriptor, and who owns the directory that it is in."""
    try:
        directory = opened(source.place)
    except UuidfsError:
        return None  # something else is in the place of a directory
    if directory is None:
        return None
    with directory:
        try:
            # O_PATH: neither a fifo nor a device is opened by it.
            fd = os.open(source.name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory.fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SystemCallFailed("look at", source.path, error) from error
        return fd, directory.status().st_uid


def _is_good(
    found: os.stat_result, owner: int, known: Entry | None, trusted: frozenset[int]
) -> bool:
    is_known = known is not None and (known.dev, known.ino) == (found.st_dev, found.st_ino)
    return (
        stat.S_ISREG(found.st_mode)
        and (found.st_uid in trusted or found.st_uid == owner)
        and (is_known or found.st_nlink == 1)
    )
