"""Puts keepsakes back to where libvirt looks for them. Never over anything.

A second name of the very file: owner, mode, labels and libvirt's notes in extended attributes are
the inode's. Where something is there already, that is newer, or another domain's.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from uuidfs.errors import Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import Directory, existing, opened
from uuidfs.files.entry import Entry
from uuidfs.keepsakes.sources import Source
from uuidfs.layout.places import Layout, Place


class Held(NamedTuple):
    """A keepsake: the directory that it is in, and its name there."""

    place: Place
    file: str


class Put(NamedTuple):
    """Where a keepsake belongs, and whether it is there: False where something else is.
    ``made``: it was not before."""

    held: Held
    source: Source
    is_there: bool
    made: bool = False


def look(held: Held, source: Source) -> Put:
    """What lies where a keepsake belongs. Raises FileNotFoundError, UuidfsError."""
    mine = _entry(held)
    directory = opened(source.place)
    if directory is None:
        raise FileNotFoundError(source.path)
    with directory:
        there = directory.look(source.name)
    if there is None:
        raise FileNotFoundError(source.path)
    return Put(held, source, there.same_inode(mine))


def put(held: Held, source: Source) -> Put:
    """Give one file of the firmware, or a managed save, its name back. Raises UuidfsError."""
    with existing(source.place) as directory, _file(held) as fd:
        try:
            change.link_open(fd, directory, source.name)
        except FileExistsError:
            return look(held, source)
        except OSError as error:
            raise SystemCallFailed("put back", source.path, error) from error
        _sync(directory)
    return Put(held, source, is_there=True, made=True)


def take_back(done: Put) -> None:
    """Take away what :func:`put` has made, if it is still that. Raises UuidfsError."""
    directory = opened(done.source.place)
    if directory is None or not done.made:
        return
    with directory:
        there = directory.look(done.source.name)
        if there is not None and there.same_inode(_entry(done.held)):
            try:
                change.unlink(directory, done.source.name)
            except OSError as error:
                raise SystemCallFailed("remove", done.source.path, error) from error


def put_tpm(layout: Layout, uuid: str, parts: list[tuple[Held, Source]]) -> list[Put]:
    """Give the files of an emulated TPM their directories back, all or none.

    libvirt (9.0 to 12.8) removes swtpm/UUID at undefine. It made that as 0711 root's, and the one
    in it as 0700 of swtpm's user, who owns the files. Raises UuidfsError.
    """
    states = layout.tpm_states
    place = states.child(uuid)
    temporary = f".{uuid}.uuidfs"
    if (there := opened(place)) is not None:
        there.close()
        return [_seen(held, source) for held, source in parts]
    try:
        change.make_path(states.path, 0o711)
        with existing(states) as top:
            change.remove_tree(top.at(temporary))
            made = change.make_directory(top, temporary, 0o711, os.getegid())
            if made is None:
                raise Refused(top.at(temporary), "this is in the way", "remove it")
            with made:
                for held, source in parts:
                    _put_below(made, held, source)
                change.sync_directory(made)
            change.trace("undelete: TPM's state ready")
            try:
                change.rename_new(top, temporary, top, uuid)
            except FileExistsError:
                change.remove_tree(top.at(temporary))
                return [_seen(held, source) for held, source in parts]
            change.sync_directory(top)
    except OSError as error:
        raise SystemCallFailed("put back", place.path, error) from error
    return [Put(held, source, is_there=True, made=True) for held, source in parts]


def _put_below(top: Directory, held: Held, source: Source) -> None:
    name = source.place.below[-1]
    directory = change.make_directory(top, name, 0o700, os.getegid()) or top.child(name)
    if directory is None:
        raise Refused(top.at(name), "this directory was removed")
    with directory, _file(held) as fd:
        found = os.fstat(fd)
        change.link_open(fd, directory, source.name)
        os.fchown(directory.fd, found.st_uid, found.st_gid)
        change.sync_directory(directory)


def take_back_tpm(layout: Layout, uuid: str, done: list[Put]) -> None:
    """Take away what :func:`put_tpm` has made. Raises UuidfsError."""
    if not any(one.made for one in done):
        return
    for one in done:
        take_back(one)
    top = opened(layout.tpm_states.child(uuid))
    if top is None:
        return
    with top:
        for name in {one.source.place.below[-1] for one in done}:
            change.remove_directory(top, name)
    with existing(layout.tpm_states) as states:
        change.remove_directory(states, uuid)


def _seen(held: Held, source: Source) -> Put:
    try:
        return look(held, source)
    except FileNotFoundError:
        return Put(held, source, is_there=False)  # a state without this file


def _entry(held: Held) -> Entry | None:
    with existing(held.place) as directory:
        return directory.look(held.file)


@contextmanager
def _file(held: Held) -> Iterator[int]:
    """A descriptor of the keepsake itself."""
    path = f"{held.place.path}/{held.file}"
    with existing(held.place) as directory:
        try:
            fd = os.open(held.file, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory.fd)
        except OSError as error:
            raise SystemCallFailed("open", path, error) from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Refused(path, "it is not a regular file")
        yield fd
    finally:
        os.close(fd)


def _sync(directory: Directory) -> None:
    try:
        change.sync_directory(directory)
    except OSError as error:
        raise SystemCallFailed("sync", directory.path, error) from error
