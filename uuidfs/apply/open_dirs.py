"""The open directories of a run, made where they are ours and missing, synced at its end."""

import os
from collections.abc import Iterable

from uuidfs.errors import Changed, Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import Directory, existing, opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import KEEP_TEMP, LINK_TEMP
from uuidfs.layout.places import Kind, Place, Side
from uuidfs.plan.steps import Step

_Key = tuple[Kind, Side, str]
"""A directory of a kind, and the domain's name or UUID below it ("" for the kind's own)."""


class OpenDirs:
    """One domain's directories, and the list of all that were touched."""

    def __init__(self, dirs: TrustedDirs) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self._below: dict[_Key, Directory] = {}
        self._touched: dict[str, Place] = {}  # by path: a directory is synced once

    def close_domain(self) -> None:
        """Close one domain's directories."""
        for directory in self._below.values():
            directory.close()
        self._below.clear()

    def sync(self) -> None:
        """fsync every directory that was touched since the last call.

        Raises SystemCallFailed: the changes are visible, but may not survive a power cut.
        """
        touched, self._touched = self._touched, {}
        below: dict[str, list[Place]] = {}
        for place in touched.values():
            if place.below:
                below.setdefault(place.parent.path, []).append(place)
            else:
                _sync(_open_again(place, None))
        for places in below.values():
            parent = _open_again(places[0].parent, None)
            if parent is None:
                continue
            with parent:
                for place in places:
                    _sync(_open_again(place, parent))

    def touch(self, place: Place) -> None:
        """Count a directory as touched."""
        self._touched[place.path] = place

    def doubt(self, names: Iterable[str], uuid: str) -> None:
        """Count all directories of a domain as touched: nobody knows which were."""
        for kind in Kind:
            for place in (self.layout.names[kind], self.layout.stores[kind]):
                self.touch(place)
            if kind.is_metadata:
                self.touch(self.layout.store_place(kind, uuid))
                for name in names:
                    self.touch(self.layout.name_place(kind, name))

    def names(self, kind: Kind, subdir: str, inside: int = 0) -> Directory:
        """libvirt's directory; it exists, or there would be no step.

        Raises Changed when it is missing, or not the inode ``inside``: QEMU's user can exchange
        the directories of two domains, and a document without a domain in it tells nothing.
        """
        directory = self._names(kind, subdir)
        if inside and directory.inode != inside:
            raise Changed(directory.path)
        return directory

    def _names(self, kind: Kind, subdir: str) -> Directory:
        key = (kind, Side.NAMES, subdir if kind.is_metadata else "")
        if (known := self._below.get(key)) is not None:
            return known
        place = self.layout.name_place(kind, subdir)
        self.touch(place)
        top = self.dirs.names(kind)
        if top is None:
            raise Changed(place.path)
        return self._open_below(key, top) if kind.is_metadata else top

    def store(self, step: Step, kind: Kind | None = None) -> Directory:
        """Our directory, made when it is missing."""
        kind = kind or step.kind
        key = (kind, Side.STORE, step.uuid if kind.is_metadata else "")
        if (known := self._below.get(key)) is not None:
            return known
        self.touch(self.layout.store_place(kind, step.uuid))
        top = self.top(kind)
        if not kind.is_metadata:
            return top
        found = top.status()
        made = change.make_directory(top, step.uuid, found.st_mode & 0o7755, found.st_gid)
        if made is not None:
            self.touch(self.layout.stores[kind])
            self._below[key] = made
            return made
        return self._open_below(key, top)

    def top(self, kind: Kind) -> Directory:
        """The kind's store, made when it is missing."""
        found = self.dirs.store(kind)
        return found if found is not None else self._make_store(kind)

    def _open_below(self, key: _Key, top: Directory) -> Directory:
        directory = top.child(key[2])
        if directory is None:
            raise Changed(top.at(key[2]))
        self._below[key] = directory
        if key[1] is Side.STORE:
            self.dirs.check_store(directory)
        elif directory.status().st_uid not in self.dirs.trusted:
            raise Refused(directory.path, "this directory is not libvirt's")
        return directory

    def _make_store(self, kind: Kind) -> Directory:
        """Make by-uuid (and by-uuid/KIND): mode and group of the directory above, owner us."""
        place = self.layout.stores[kind]
        depth = len(place.below) - (2 if kind.is_metadata else 1)
        for level in range(depth, len(place.below)):
            above = Place(place.base, place.below[:level])
            with existing(above) as directory:
                found = directory.status()
                names = self.dirs.names(kind)
                if names is not None and names.status().st_dev != found.st_dev:
                    raise Refused(
                        place.path,
                        f"it would be on another file system than {names.path} (EXDEV)",
                        "files are moved, never copied: mount both together",
                    )
                mode = found.st_mode & 0o7755
                made = change.make_directory(directory, place.below[level], mode, found.st_gid)
                if made is not None:
                    made.close()
                    self.touch(above)
        self.dirs.look_again()
        store = self.dirs.store(kind)
        if store is None:
            raise Changed(place.path)
        return store

    def names_made(self, kind: Kind, name: str) -> Directory:
        """KIND/NAME, made as libvirt makes it: by root, mode 0777 less the umask.

        Raises Changed when the kind's own directory is missing.
        """
        place = self.layout.names[kind]
        parent = self.dirs.names(kind)
        if parent is None:
            raise Changed(place.path)
        made = change.make_directory(parent, name, 0o755, os.getegid())
        if made is not None:
            made.close()
            self.touch(place)
        return self.names(kind, name)

    def inner(self, top: Directory, name: str) -> Directory:
        """A directory of our own inside a store (waiting room, trash), made when missing.

        The caller closes it.
        """
        found = top.status()
        inner = change.make_directory(top, name, found.st_mode & 0o7755, found.st_gid)
        if inner is not None:
            self.touch(top.place)
        else:
            inner = top.child(name)
        if inner is None:
            raise Changed(top.at(name))
        self.touch(inner.place)
        return inner

    def close_store(self, step: Step) -> None:
        """Close one UUID's directory: it is about to be removed."""
        directory = self._below.pop((step.kind, Side.STORE, step.uuid), None)
        if directory is not None:
            directory.close()

    def expect(self, directory: Directory, step: Step) -> None:
        """Compare what lies at the name with what the plan was made for; raises Changed."""
        there = directory.look(step.entry)
        if there is None or not there.same_inode(step.expect):
            raise Changed(step.path(self.layout))


def _open_again(place: Place, parent: Directory | None) -> Directory | None:
    """A directory that was touched; None when it was removed or replaced: whoever does syncs it."""
    try:
        return opened(place) if parent is None else parent.child(place.below[-1])
    except Refused:
        return None


def _sync(directory: Directory | None) -> None:
    if directory is None:
        return
    with directory:
        try:
            change.sync_directory(directory)
        except OSError as error:
            raise SystemCallFailed("sync", directory.path, error) from error


def temp_link(step: Step) -> str:
    """The temporary name of a link, in the store, where the next run finds and knows it."""
    return LINK_TEMP if step.kind.is_metadata else step.uuid + LINK_TEMP


def temp_keep(step: Step) -> str:
    """The temporary name of a file, likewise."""
    return KEEP_TEMP if step.kind.is_metadata else step.uuid + KEEP_TEMP
