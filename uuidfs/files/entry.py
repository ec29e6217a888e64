"""What lies at a name."""

import stat
from typing import NamedTuple


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
