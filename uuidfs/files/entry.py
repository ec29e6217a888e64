"""What lies at a name."""

import stat
from typing import NamedTuple

SECOND = 1_000_000_000  # nanoseconds


def is_whole_second(time: int) -> bool:
    """Whether a time in nanoseconds may be one that its file system has cut to seconds.

    ext3 keeps whole seconds, and so does ext4 with inodes of 128 bytes, as mke2fs made them on
    small disks until 1.46.
    """
    return time % SECOND == 0


class Entry(NamedTuple):
    """What lies at a name: enough to recognise it again before it is replaced or removed.

    ``text`` is set for symlinks only; ``form`` is the S_IFMT part of the mode; ``ctime`` in
    nanoseconds tells whether a document that was read once has changed since, ``mtime`` when it
    was written.
    """

    form: int
    dev: int
    ino: int
    uid: int
    nlink: int
    text: str | None = None
    ctime: int = 0
    mtime: int = 0

    @property
    def is_file(self) -> bool:
        """A regular file."""
        return self.form == stat.S_IFREG

    def same_inode(self, other: "Entry | None") -> bool:
        """Identity is (st_dev, st_ino), and the type, which no inode ever changes: the number of
        a link that is gone may be a new file's."""
        return other is not None and (self.dev, self.ino, self.form) == (
            other.dev,
            other.ino,
            other.form,
        )

    def is_unchanged(self, other: "Entry | None") -> bool:
        """The same inode with the same change time: for looks that lie seconds apart, in which
        a number can be used again."""
        return other is not None and self.same_inode(other) and self.ctime == other.ctime

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
