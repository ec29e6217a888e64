"""The open directories of a run, made where they are ours and missing, synced at its end."""

import os
from collections.abc import Iterable

from uuidfs.errors import Changed, Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import open_below, open_place, opened_below
from uuidfs.files.entry import look
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import KEEP_TEMP, LINK_TEMP
from uuidfs.layout.places import Kind, Place
from uuidfs.plan.steps import Step

_Key = tuple[Kind, bool, str]

"""A directory of a kind: whether it is the store's, and the domain's name or UUID below it."""


Touched = Place | _Key

"""A directory in which something changed, to be synced."""


class OpenDirs:
    """Descriptors of one domain's directories, and the list of all that were touched."""

    def __init__(self, dirs: TrustedDirs) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self._tops: dict[Place, _Key] = {
            place: (kind, store, "")
            for store, places in ((False, self.layout.names), (True, self.layout.stores))
            for kind, place in places.items()
        }
        self._touched: dict[Touched, None] = {}
        self._subs: dict[_Key, int] = {}

    def close_domain(self) -> None:
        """Close the descriptors of one domain's directories."""
        for fd in self._subs.values():
            os.close(fd)
        self._subs.clear()

    def sync(self) -> None:
        """fsync every directory that was touched since the last call.

        Raises SystemCallFailed: the changes are visible, but may not survive a power cut.
        """
        touched, self._touched = self._touched, {}
        for where in touched:
            try:
                fd = open_place(where) if isinstance(where, Place) else self._reopened(where)
            except (OSError, Refused):
                continue  # removed since: its parent is synced
            try:
                change.sync_directory(fd)
            except OSError as error:
                raise SystemCallFailed("sync", self._path(where), error) from error
            finally:
                os.close(fd)

    def _reopened(self, key: _Key) -> int:
        kind, store, name = key
        parent = self.dirs.store(kind) if store else self.dirs.names(kind)
        if parent is None:
            raise Refused(self._path(key), "it was removed")
        return open_below(parent, name or ".")

    def _path(self, where: Touched) -> str:
        if isinstance(where, Place):
            return where.path
        kind, store, name = where
        place = (self.layout.stores if store else self.layout.names)[kind]
        return place.child(name).path if name else place.path

    def touch(self, place: Place) -> None:
        """Count a directory as touched, once whichever way it is called."""
        self._touched[self._tops.get(place, place)] = None

    def doubt(self, names: Iterable[str], uuid: str) -> None:
        """Count all directories of a domain as touched: nobody knows which were."""
        for kind in Kind:
            for below in ("", *names) if kind.is_metadata else ("",):
                self._touched[kind, False, below] = None
            for below in ("", uuid) if kind.is_metadata else ("",):
                self._touched[kind, True, below] = None

    def names(self, kind: Kind, subdir: str) -> int:
        """libvirt's directory; it exists, or there would be no step."""
        key = (kind, False, subdir if kind.is_metadata else "")
        self._touched[key] = None
        if (known := self._subs.get(key)) is not None:
            return known
        parent = self.dirs.names(kind)
        if parent is None:
            raise Changed(self._path(key))
        return self._sub(key, parent) if kind.is_metadata else parent

    def store(self, step: Step, kind: Kind | None = None) -> int:
        """Our directory, made when it is missing."""
        kind = kind or step.kind
        key = (kind, True, step.uuid if kind.is_metadata else "")
        self._touched[key] = None
        if (known := self._subs.get(key)) is not None:
            return known
        top = self.top(kind)
        if not kind.is_metadata:
            return top
        found = os.fstat(top)
        made = change.make_directory(top, step.uuid, found.st_mode & 0o7755, found.st_gid)
        if made is not None:
            self._touched[kind, True, ""] = None
            self._subs[key] = made
            return made
        return self._sub(key, top)

    def top(self, kind: Kind) -> int:
        """The kind's store, made when it is missing."""
        found = self.dirs.store(kind)
        return found if found is not None else self._make_store(kind)

    def _sub(self, key: _Key, parent: int) -> int:
        fd = opened_below(parent, key[2], self._path(key))
        if fd is None:
            raise Changed(self._path(key))
        self._subs[key] = fd
        if key[1]:
            self.dirs.check_store(fd, self.layout.store_place(key[0], key[2]))
        elif os.fstat(fd).st_uid not in self.dirs.trusted:
            raise Refused(self._path(key), "this directory is not libvirt's")
        return fd

    def _make_store(self, kind: Kind) -> int:
        """Make by-uuid (and by-uuid/KIND): mode and group of the directory above, owner us."""
        place = self.layout.stores[kind]
        depth = len(place.below) - (2 if kind.is_metadata else 1)
        for level in range(depth, len(place.below)):
            above = Place(place.base, place.below[:level])
            fd = open_place(above)
            try:
                found = os.fstat(fd)
                names = self.dirs.names(kind)
                if names is not None and os.fstat(names).st_dev != found.st_dev:
                    raise Refused(
                        place.path,
                        f"it would be on another file system than "
                        f"{self.layout.names[kind].path} (EXDEV)",
                        "files are moved, never copied: mount both together",
                    )
                mode = found.st_mode & 0o7755
                made = change.make_directory(fd, place.below[level], mode, found.st_gid)
                if made is not None:
                    os.close(made)
                    self.touch(above)
            finally:
                os.close(fd)
        self.dirs.look_again()
        made = self.dirs.store(kind)
        if made is None:
            raise Changed(place.path)
        return made

    def inner(self, top: int, name: str, place: Place) -> int:
        """Open a directory of our own inside a store (waiting room, trash), made when missing.

        The caller closes it.
        """
        found = os.fstat(top)
        fd = change.make_directory(top, name, found.st_mode & 0o7755, found.st_gid)
        if fd is not None:
            self.touch(place)
        else:
            fd = opened_below(top, name, place.child(name).path)
        if fd is None:
            raise Changed(place.child(name).path)
        self.touch(place.child(name))
        return fd

    def close_store(self, step: Step) -> None:
        """Close one UUID's directory: it is about to be removed."""
        fd = self._subs.pop((step.kind, True, step.uuid), None)
        if fd is not None:
            os.close(fd)

    def expect(self, directory: int, step: Step) -> None:
        """Compare what lies at the name with what the plan was made for; raises Changed."""
        there = look(directory, step.entry)
        if there is None or not there.same_inode(step.expect):
            raise Changed(step.path(self.layout))


def temp_link(step: Step) -> str:
    """The temporary name of a link, in the store, where the next run finds and knows it."""
    return LINK_TEMP if step.kind.is_metadata else step.uuid + LINK_TEMP


def temp_keep(step: Step) -> str:
    """The temporary name of a file, likewise."""
    return KEEP_TEMP if step.kind.is_metadata else step.uuid + KEEP_TEMP
