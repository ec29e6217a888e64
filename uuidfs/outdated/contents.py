"""Whether two files hold the same program: by inode, by build-id, and at last by content."""

import hashlib
import os
import stat

from uuidfs.outdated.build_id import build_id

HASHED = 1 << 30  # bytes; larger files without a build-id count as different

_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PART = 1 << 20


class File:
    """An open file; a context manager. ``status`` is its fstat(2)."""

    def __init__(self, path: str, directory: int | None = None) -> None:
        """Raises OSError. What is no regular file does not block, and is never read."""
        self.fd = os.open(path, _OPEN, dir_fd=directory)
        self.status = os.fstat(self.fd)

    def __enter__(self) -> "File":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    @property
    def is_regular(self) -> bool:
        """Whether it can be read: a fifo would never end."""
        return stat.S_ISREG(self.status.st_mode)


class Contents:
    """Compares files, and reads each of them once however many guests execute it."""

    def __init__(self) -> None:
        self._builds: dict[tuple[int, int, int], str | None] = {}
        self._sums: dict[tuple[int, int, int], bytes] = {}

    def build(self, file: File) -> str | None:
        """As :func:`build_id`; None for what is no regular file, too. Raises OSError."""
        key = _key(file)
        if key not in self._builds:
            self._builds[key] = build_id(file.fd) if file.is_regular else None
        return self._builds[key]

    def same(self, one: File, other: File) -> bool:
        """Whether both hold the same program.

        Equal build-ids are enough: a package that is installed again, or built again from the
        same source by the same tools, has new inodes and the old code. Raises OSError.
        """
        if (one.status.st_dev, one.status.st_ino) == (other.status.st_dev, other.status.st_ino):
            return True
        first, second = self.build(one), self.build(other)
        if first or second:  # with a build-id in one of them only, their contents differ
            return first == second
        if not (one.is_regular and other.is_regular):
            return False
        size = one.status.st_size
        return size == other.status.st_size <= HASHED and self._sum(one) == self._sum(other)

    def _sum(self, file: File) -> bytes:
        key = _key(file)
        if key not in self._sums:
            digest = hashlib.sha256()
            for start in range(0, file.status.st_size, _PART):
                digest.update(os.pread(file.fd, _PART, start))
            self._sums[key] = digest.digest()
        return self._sums[key]


def _key(file: File) -> tuple[int, int, int]:
    found = file.status
    return found.st_dev, found.st_ino, found.st_ctime_ns
