"""Opens and lists directories without following links. Nothing here changes anything."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from uuidfs.errors import Refused, SystemCallFailed
from uuidfs.layout.places import Place


def opened(place: Place) -> int | None:
    """Open a place, None when it is missing; other errors as SystemCallFailed."""
    try:
        return open_place(place)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SystemCallFailed("open", place.path, error) from error


def opened_below(parent: int, name: str, path: str) -> int | None:
    """Open a directory in ``parent`` without following links, None when it is missing.

    Raises Refused when it is anything else than a directory.
    """
    try:
        return open_below(parent, name)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise Refused(path, "this has to be a directory, and no symlink") from error
        raise SystemCallFailed("open", path, error) from error


def listed(fd: int, path: str) -> list[str]:
    """The names in a directory; errors as SystemCallFailed."""
    try:
        return os.listdir(fd)
    except OSError as error:
        raise SystemCallFailed("list", path, error) from error


_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def open_place(place: Place) -> int:
    """Open a directory: its base by path, each component below without following a link.

    Raises FileNotFoundError when it is missing, Refused when a component is a symlink or
    not a directory.
    """
    fd = os.open(place.base, os.O_RDONLY | os.O_DIRECTORY)
    for count, part in enumerate(place.below, 1):
        parent = fd
        try:
            fd = open_below(parent, part)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                where = Place(place.base, place.below[:count]).path
                raise Refused(where, "this has to be a directory, and no symlink") from error
            raise
        finally:
            os.close(parent)
    return fd


@contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close a descriptor at the end of a block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_below(parent: int, name: str) -> int:
    """Open the directory ``name`` in ``parent``; ELOOP or ENOTDIR when it is something else."""
    return os.open(name, _DIRECTORY, dir_fd=parent)
