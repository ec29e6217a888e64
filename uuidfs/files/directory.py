"""Open directories that look, list and read. Nothing here follows a link or changes anything.

:mod:`uuidfs.files.change` has the calls that change names.
"""

import errno
import os
import stat

from uuidfs.errors import Changed, Refused, SystemCallFailed, Unreadable
from uuidfs.files.entry import Entry
from uuidfs.layout.places import Place

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NO_DIRECTORY = frozenset({errno.ELOOP, errno.ENOTDIR})
_REFUSED = "this has to be a directory, and no symlink"


class Directory:
    """An open directory and the place where it was opened.

    Whoever opens one closes it, best by a with block. Methods that take a ``name`` take one
    component, never a path. What the kernel refuses is raised as SystemCallFailed.
    """

    __slots__ = ("_inode", "fd", "place")

    def __init__(self, fd: int, place: Place) -> None:
        self.fd = fd
        self.place = place
        self._inode = 0

    @property
    def path(self) -> str:
        """Where it was when it was opened, for messages."""
        return self.place.path

    def __enter__(self) -> "Directory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)

    def at(self, name: str) -> str:
        """The path of what is called ``name`` in here, for messages."""
        return f"{self.place.path}/{name}"

    def status(self) -> os.stat_result:
        """fstat(2) of the directory itself."""
        found = os.fstat(self.fd)
        self._inode = found.st_ino
        return found

    @property
    def inode(self) -> int:
        """Its inode, which an open directory never changes: asked for once."""
        return self._inode or self.status().st_ino

    def is_same(self, other: "Directory") -> bool:
        """Tell whether both are one directory, whatever their paths say."""
        return os.path.sameopenfile(self.fd, other.fd)

    def look(self, name: str) -> Entry | None:
        """Return what lies at ``name``, or None.

        Between the stat and the readlink of a symlink virtlogd or libvirt can put a regular
        file there (EINVAL): then this looks again.
        """
        while True:
            try:
                found = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
                form = stat.S_IFMT(found.st_mode)
                text = os.readlink(name, dir_fd=self.fd) if form == stat.S_IFLNK else None
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno == errno.EINVAL:
                    continue
                raise SystemCallFailed("look at", self.at(name), error) from error
            return Entry(
                form,
                found.st_dev,
                found.st_ino,
                found.st_uid,
                found.st_nlink,
                text,
                found.st_ctime_ns,
                found.st_mtime_ns,
            )

    def link_text(self, name: str) -> str | None:
        """The text of a symlink, or None for anything else, also for nothing."""
        try:
            return os.readlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            raise SystemCallFailed("look at", self.at(name), error) from error

    def stat(self, name: str) -> os.stat_result | None:
        """lstat(2) of ``name``; None when there is nothing."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SystemCallFailed("look at", self.at(name), error) from error

    def list(self) -> list[str]:
        """The names in here, in the kernel's order."""
        try:
            return os.listdir(self.fd)
        except OSError as error:
            raise SystemCallFailed("list", self.path, error) from error

    def inodes(self) -> set[int]:
        """The inodes of all that is in here, as the listing says."""
        try:
            with os.scandir(self.fd) as entries:
                return {entry.inode() for entry in entries}
        except OSError as error:
            raise SystemCallFailed("list", self.path, error) from error

    def by_inode(self) -> dict[int, tuple[str, ...]]:
        """The names in here by their inodes, as the listing says."""
        found: dict[int, tuple[str, ...]] = {}
        try:
            with os.scandir(self.fd) as entries:
                for entry in entries:
                    inode = entry.inode()
                    found[inode] = (*found.get(inode, ()), entry.name)
        except OSError as error:
            raise SystemCallFailed("list", self.path, error) from error
        return found

    def read(self, name: str, limit: int, expect: Entry | None = None) -> bytes | None:
        """Read a whole regular file of at most ``limit`` bytes; None when it is missing.

        A fifo or device does not block (O_NONBLOCK) and is refused, like a symlink. Raises
        Unreadable for what is no such file, Changed when it is not the inode of ``expect``:
        between a look and this somebody may have put another file there.
        """
        path = self.at(name)
        try:
            fd = os.open(
                name,
                os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY,
                dir_fd=self.fd,
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:
                raise Unreadable(path, "it is not a regular file") from error
            raise SystemCallFailed("read", path, error) from error
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise Unreadable(path, "it is not a regular file")
            if expect is not None and (found.st_dev, found.st_ino) != (expect.dev, expect.ino):
                raise Changed(path)
            if found.st_size > limit:
                raise Unreadable(path, f"it is larger than {limit} bytes")
            data = os.read(fd, found.st_size + 1)
            if len(data) > found.st_size:  # libvirt replaces its files; this one is being written
                raise Unreadable(path, "it grows while it is read")
        except OSError as error:
            raise SystemCallFailed("read", path, error) from error
        finally:
            os.close(fd)
        return data

    def child(self, name: str) -> "Directory | None":
        """Open the directory ``name``; None when it is missing.

        Raises Refused when it is anything else than a directory.
        """
        try:
            return Directory(os.open(name, _DIRECTORY, dir_fd=self.fd), self.place.child(name))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _NO_DIRECTORY:
                raise Refused(self.at(name), _REFUSED) from error
            raise SystemCallFailed("open", self.at(name), error) from error


def opened(place: Place) -> Directory | None:
    """Open a place: its base by path, each component below without following a link.

    None when it is missing. Raises Refused when a component below the base is a symlink or no
    directory, SystemCallFailed.
    """
    try:
        found = Directory(os.open(place.base, os.O_RDONLY | os.O_DIRECTORY), Place(place.base))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SystemCallFailed("open", place.base, error) from error
    for part in place.below:
        with found:
            below = found.child(part)
        if below is None:
            return None
        found = below
    return found


def existing(place: Place) -> Directory:
    """As :func:`opened`; raises Refused when the place is missing."""
    found = opened(place)
    if found is None:
        raise Refused(place.path, "this directory was removed")
    return found
