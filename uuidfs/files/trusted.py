"""Opens directories, most of them a layout's, and refuses those that cannot be trusted."""

import os
import stat
from collections.abc import Container

from uuidfs.errors import Refused
from uuidfs.files.directory import Directory, opened
from uuidfs.layout.places import Kind, Layout, Place, Side


def expect_ours(directory: Directory, trusted: Container[int]) -> None:
    """Refuse a directory that belongs to nobody in ``trusted``, or that others could write to."""
    found = directory.status()
    if found.st_uid not in trusted:
        raise Refused(
            directory.path,
            f"this directory belongs to uid {found.st_uid}",
            "it has to belong to root (or to the session's user); "
            f"check what is in it, then: chown {os.geteuid()} {directory.path}",
        )
    if found.st_mode & 0o022:
        raise Refused(
            directory.path,
            f"others may write to this directory (mode {stat.S_IMODE(found.st_mode):04o})",
            f"check what is in it, then: chmod go-w {directory.path}",
        )


def trusted_directory(path: str) -> Directory:
    """Open a directory of the host's, for a file of ours; whoever calls this closes it.

    No component is followed where it is a link, and only root and the effective user may write
    to the directory itself. Somebody else may own one above, as Debian's /var/lib/prometheus is
    the exporter's: its owner cannot move a directory of root's to another parent, so all that can
    stand here in its place is another one that root made right there. Raises Refused or
    SystemCallFailed.
    """
    parts = [part for part in os.path.abspath(path).split("/") if part]
    directory = opened(Place("/", tuple(parts)))
    if directory is None:
        raise Refused(path, "there is no such directory")
    try:
        expect_ours(directory, {0, os.geteuid()})
    except BaseException:
        directory.close()
        raise
    return directory


class TrustedDirs:
    """The name and store directories of one layout, opened when first asked for.

    A context manager: they stay open as long as it does, and nobody else closes them. Owners
    that are trusted are root and the user that runs uuidfs (promise P7).
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.trusted = frozenset({0, os.geteuid()})
        self._open: dict[tuple[Kind, Side], Directory | None] = {}

    def __enter__(self) -> "TrustedDirs":
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def forget(self) -> None:
        """Close all directories; they are opened anew when asked for."""
        for directory in self._open.values():
            if directory is not None:
                directory.close()
        self._open.clear()

    def names(self, kind: Kind) -> Directory | None:
        """libvirt's directory for this kind, or None when it is not there.

        Raises Refused when it is a symlink or in the wrong place, SystemCallFailed else.
        """
        return self.get(kind, Side.NAMES)

    def store(self, kind: Kind) -> Directory | None:
        """Our directory for this kind, or None when it is not there yet.

        Raises Refused when others could write to it or it is on another file system.
        """
        return self.get(kind, Side.STORE)

    def get(self, kind: Kind, side: Side) -> Directory | None:
        """Either of them. Raises as :meth:`names` and :meth:`store`."""
        key = (kind, side)
        if key not in self._open:
            directory = opened(self.layout.places(side)[kind])
            if directory is not None:
                try:
                    if side is Side.STORE:
                        self.check_store(directory)
                        self._check_device(kind, directory)
                    elif kind.is_metadata:
                        self._check_siblings(kind, directory)
                except BaseException:
                    directory.close()
                    raise
            self._open[key] = directory
        return self._open[key]

    def kept(self) -> Directory | None:
        """The directory of keepsakes, or None; the caller closes it.

        Raises Refused when anybody but us could write to it.
        """
        directory = opened(self.layout.kept)
        if directory is not None:
            try:
                self.check_store(directory)
            except BaseException:
                directory.close()
                raise
        return directory

    def look_again(self) -> None:
        """Forget the directories that were missing or have been removed: there may be others."""
        for key, directory in list(self._open.items()):
            if directory is None:
                del self._open[key]
            elif directory.status().st_nlink == 0:
                del self._open[key]
                directory.close()

    def check_store(self, directory: Directory) -> None:
        """Refuse a directory of ours that anybody else could write to."""
        expect_ours(directory, self.trusted)

    def _check_device(self, kind: Kind, store: Directory) -> None:
        names = self.names(kind)
        if names is not None and names.status().st_dev != store.status().st_dev:
            raise Refused(
                store.path,
                f"this is on another file system than {names.path} (EXDEV)",
                "files are moved, never copied: unmount one of them or mount both together",
            )

    def _check_siblings(self, kind: Kind, names: Directory) -> None:
        """The links say ``../../../by-uuid``: that has to be the store's parent.

        It is not when /var/lib/libvirt/qemu itself is a symlink to somewhere else.
        """
        store = self.layout.stores[kind]
        above = opened(Place(store.base, store.below[:-2]))
        if above is None:
            return
        with above:
            here = above.status()
        there = os.stat("../..", dir_fd=names.fd)
        if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
            raise Refused(
                names.path,
                "its real path is elsewhere, so relative links into the store would dangle",
                "replace the symlink on the way by a bind mount of the directory above both",
            )
