"""The directory of the locks; its own module because the hook cannot afford filelock."""

import os

from uuidfs import fs
from uuidfs.dirs import opened
from uuidfs.errors import Refused, SystemCallFailed
from uuidfs.layout import Place


def make_lock_directory(place: Place) -> None:
    """Make the lock's directory, 0700; refuse one that anybody else could write to."""
    own = place.below.index("uuidfs")
    for level in range(own, len(place.below)):
        above = Place(place.base, place.below[:level])
        parent = opened(above)
        if parent is None:
            # --root on a tree without run/: it is made like every package would make it.
            os.makedirs(above.path, mode=0o755, exist_ok=True)
            parent = opened(above)
        if parent is None:
            raise Refused(above.path, "this directory cannot be made")
        try:
            made = fs.make_directory(parent, place.below[level], 0o700, os.getegid())
            if made is not None:
                os.close(made)
        except OSError as error:
            path = place.path
            raise SystemCallFailed("make the lock directory", path, error) from error
        finally:
            os.close(parent)
    fd = opened(place)
    if fd is None:
        raise Refused(place.path, "this directory was removed")
    try:
        found = os.fstat(fd)
        if found.st_uid not in {0, os.geteuid()} or found.st_mode & 0o022:
            raise Refused(place.path, "others may write to this directory of locks")
    finally:
        os.close(fd)
