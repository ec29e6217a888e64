"""The locks' directory, and one attempt at a lock; the hook cannot afford more."""

import fcntl
import os

from uuidfs.errors import Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import existing, opened
from uuidfs.layout.places import Place


def make_lock_directory(place: Place) -> None:
    """Make the lock's directory, 0700; refuse one that anybody else could write to."""
    own = place.below.index("uuidfs")
    for level in range(own, len(place.below)):
        above = Place(place.base, place.below[:level])
        parent = opened(above)
        if parent is None:
            # --root on a tree without run/: it is made like every package would make it.
            change.make_path(above.path)
            parent = existing(above)
        with parent:
            try:
                made = change.make_directory(parent, place.below[level], 0o700, os.getegid())
                if made is not None:
                    made.close()
            except OSError as error:
                raise SystemCallFailed("make the lock directory", place.path, error) from error
    with existing(place) as directory:
        found = directory.status()
        if found.st_uid not in {0, os.geteuid()} or found.st_mode & 0o022:
            raise Refused(place.path, "others may write to this directory of locks")


def try_lock(path: str) -> int | None:
    """Try once to take the lock; the descriptor that holds it, or None when somebody else does.

    The flock(2) that filelock uses, without its import (20 to 60 ms, as long as converting
    fifty domains): whoever has to wait does that through filelock. What was locked has to be what
    the path leads to: who clears /run while the lock is open would make two holders. Raises
    OSError.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _leads_to(path, fd):
            return fd
    except BlockingIOError:
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _leads_to(path: str, fd: int) -> bool:
    locked = os.fstat(fd)
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (locked.st_dev, locked.st_ino) == (there.st_dev, there.st_ino)
