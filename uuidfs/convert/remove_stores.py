"""After a revert of everything: our directories go, as far as they are empty."""

import os

from uuidfs.errors import SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import listed, open_place, opened_below
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import STORE, TRASH, Kind, Place


def remove_stores(dirs: TrustedDirs) -> list[str]:
    """After a revert of everything: remove our directories, as far as they are empty.

    Returns the paths that stay because something is in them; raises SystemCallFailed.
    """
    kept = []
    for kind in Kind:
        place = dirs.layout.stores[kind]
        fd = dirs.store(kind)
        if fd is None:
            continue
        try:
            kept += _empty_store(fd, place)
        except OSError as error:
            raise SystemCallFailed("clean up", place.path, error) from error
    dirs.forget()
    for kind in Kind:
        place = dirs.layout.stores[kind]
        levels = 2 if kind.is_metadata else 1
        for level in range(len(place.below) - 1, len(place.below) - 1 - levels, -1):
            above = Place(place.base, place.below[:level])
            try:
                _remove(above, place.below[level])
            except OSError as error:
                path = above.child(place.below[level]).path
                raise SystemCallFailed("remove", path, error) from error
    return kept


def _empty_store(fd: int, place: Place) -> list[str]:
    """Remove waiting room and trash when nothing is in them; return what is left."""
    trash = opened_below(fd, TRASH, f"{place.path}/{TRASH}")
    if trash is not None:
        try:
            for name in listed(trash, f"{place.path}/{TRASH}"):
                change.remove_directory(trash, name)  # a kill left it empty; the others stay
        finally:
            os.close(trash)
    for name in (STORE, TRASH):
        change.remove_directory(fd, name)
    return [f"{place.path}/{name}" for name in sorted(listed(fd, place.path))]


def _remove(above: Place, name: str) -> None:
    try:
        fd = open_place(above)
    except FileNotFoundError:
        return
    try:
        if change.remove_directory(fd, name):
            change.sync_directory(fd)
    finally:
        os.close(fd)
