"""What lies at a name, and the content of small files. Nothing here changes anything."""

import errno
import os
import stat
from typing import NamedTuple

from uuidfs.errors import Unreadable


def link_text(fd: int, entry: str) -> str | None:
    """The text of a symlink, or None for anything else."""
    try:
        return os.readlink(entry, dir_fd=fd)
    except OSError:
        return None


class Entry(NamedTuple):
    """What lies at a name: enough to recognise it again before it is replaced or removed.

    ``text`` is set for symlinks only; ``form`` is the S_IFMT part of the mode; ``ctime`` in
    nanoseconds tells whether a document that was read once has changed since.
    """

    form: int
    dev: int
    ino: int
    uid: int
    nlink: int
    text: str | None = None
    ctime: int = 0

    @property
    def is_file(self) -> bool:
        """A regular file."""
        return self.form == stat.S_IFREG

    def same_inode(self, other: "Entry | None") -> bool:
        """Identity is (st_dev, st_ino), nothing else."""
        return other is not None and (self.dev, self.ino) == (other.dev, other.ino)

    @property
    def noun(self) -> str:
        """What a message calls it."""
        return {
            stat.S_IFREG: "a regular file",
            stat.S_IFLNK: "a symlink",
            stat.S_IFDIR: "a directory",
            stat.S_IFIFO: "a fifo",
            stat.S_IFSOCK: "a socket",
        }.get(self.form, "a device")


def look(directory: int, name: str) -> Entry | None:
    """Return what lies at ``name``, or None.

    Between the stat and the readlink of a symlink virtlogd or libvirt can put a regular file
    there (EINVAL): then this looks again.
    """
    while True:
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            form = stat.S_IFMT(found.st_mode)
            text = os.readlink(name, dir_fd=directory) if form == stat.S_IFLNK else None
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                continue
            raise
        return Entry(
            form, found.st_dev, found.st_ino, found.st_uid, found.st_nlink, text, found.st_ctime_ns
        )


def read_small(directory: int, name: str, limit: int, path: str) -> bytes:
    """Read a whole regular file of at most ``limit`` bytes.

    A fifo or device does not block (O_NONBLOCK) and is refused, like a symlink.
    """
    try:
        fd = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=directory
        )
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise Unreadable(path, "it is not a regular file") from error
        raise
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable(path, "it is not a regular file")
        if found.st_size > limit:
            raise Unreadable(path, f"it is larger than {limit} bytes")
        data = os.read(fd, found.st_size + 1)
        if len(data) > found.st_size:  # libvirt replaces its files; this one is being written
            raise Unreadable(path, "it grows while it is read")
    finally:
        os.close(fd)
    return data
