"""Opens the directories of a layout, and refuses those that cannot be trusted."""

import os
import stat
from types import TracebackType

from uuidfs.errors import Refused
from uuidfs.files.directory import opened
from uuidfs.layout.places import Kind, Layout, Place


class TrustedDirs:
    """Descriptors of the name and store directories of one layout, opened when first asked for.

    A context manager: the descriptors live as long as it does. Owners that are trusted are
    root and the user that runs uuidfs (promise P7).
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.trusted = frozenset({0, os.geteuid()})
        self._open: dict[tuple[Kind, bool], int | None] = {}

    def __enter__(self) -> "TrustedDirs":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.forget()

    def forget(self) -> None:
        """Close all descriptors; they are opened anew when asked for."""
        for fd in self._open.values():
            if fd is not None:
                os.close(fd)
        self._open.clear()

    def names(self, kind: Kind) -> int | None:
        """libvirt's directory for this kind, or None when it is not there.

        Raises Refused when it is a symlink or in the wrong place, SystemCallFailed else.
        """
        return self._get(kind, False)

    def store(self, kind: Kind) -> int | None:
        """Our directory for this kind, or None when it is not there yet.

        Raises Refused when others could write to it or it is on another file system.
        """
        return self._get(kind, True)

    def _get(self, kind: Kind, store: bool) -> int | None:
        key = (kind, store)
        if key not in self._open:
            place = (self.layout.stores if store else self.layout.names)[kind]
            fd = opened(place)
            if fd is not None:
                try:
                    if store:
                        self.check_store(fd, place)
                        self._check_device(kind, fd, place)
                    elif kind.is_metadata:
                        self._check_siblings(kind, fd)
                except BaseException:
                    os.close(fd)
                    raise
            self._open[key] = fd
        return self._open[key]

    def look_again(self) -> None:
        """Forget the directories that were missing or have been removed: there may be others."""
        for key, fd in list(self._open.items()):
            if fd is None:
                del self._open[key]
            elif os.fstat(fd).st_nlink == 0:
                del self._open[key]
                os.close(fd)

    def check_store(self, fd: int, place: Place) -> None:
        """Refuse a directory of ours that anybody else could write to."""
        found = os.fstat(fd)
        if found.st_uid not in self.trusted:
            raise Refused(
                place.path,
                f"this directory belongs to uid {found.st_uid}",
                "it has to belong to root (or to the session's user); "
                f"check what is in it, then: chown {os.geteuid()} {place.path}",
            )
        if found.st_mode & 0o022:
            raise Refused(
                place.path,
                f"others may write to this directory (mode {stat.S_IMODE(found.st_mode):04o})",
                f"check what is in it, then: chmod go-w {place.path}",
            )

    def _check_device(self, kind: Kind, fd: int, place: Place) -> None:
        names = self.names(kind)
        if names is not None and os.fstat(names).st_dev != os.fstat(fd).st_dev:
            raise Refused(
                place.path,
                f"this is on another file system than {self.layout.names[kind].path} (EXDEV)",
                "files are moved, never copied: unmount one of them or mount both together",
            )

    def _check_siblings(self, kind: Kind, fd: int) -> None:
        """The links say ``../../../by-uuid``: that has to be the store's parent.

        It is not when /var/lib/libvirt/qemu itself is a symlink to somewhere else.
        """
        store = self.layout.stores[kind]
        above = opened(Place(store.base, store.below[:-2]))
        if above is None:
            return
        try:
            here = os.fstat(above)
            there = os.stat("../..", dir_fd=fd)
        finally:
            os.close(above)
        if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
            raise Refused(
                self.layout.names[kind].path,
                "its real path is elsewhere, so relative links into the store would dangle",
                "replace the symlink on the way by a bind mount of the directory above both",
            )
