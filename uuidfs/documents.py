"""Reads libvirt's documents once, and knows which symlinks are ours."""

import errno
import os
from collections.abc import Sequence
from functools import partial

from uuidfs import crew, fs
from uuidfs.dirs import Dirs
from uuidfs.errors import SystemCallFailed, Unreadable
from uuidfs.layout import STORE
from uuidfs.names import is_uuid, split_log
from uuidfs.xmlread import MAX_BYTES, Identity, Reader


class Documents:
    """The documents of one layout; remembers what it parsed as long as the file is the same.

    ``cpus`` above 1 lets it parse many in that many processes.
    """

    def __init__(self, dirs: Dirs, reader: Reader, cpus: int = 1) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self._reader = reader
        self._cpus = cpus
        self._read: dict[tuple[int, int], Identity | str] = {}

    def identify(
        self, fd: int, entry: str, path: str, found: fs.Entry | None = None
    ) -> Identity | str:
        """Return who a document is about, or the reason why that cannot be told.

        libvirt replaces documents, it never rewrites them in place, so an inode that was
        read once is not read again (a changed mtime or size makes it another key).
        ``found`` is what the caller has just seen there.
        """
        try:
            found = found or fs.look(fd, entry)
            if found is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), entry)
            key = (found.ino, found.ctime)
            if key not in self._read:
                self._read[key] = self._reader(fs.read_small(fd, entry, MAX_BYTES, path))
            return self._read[key]
        except Unreadable as error:
            return error.reason
        except OSError as error:
            return str(SystemCallFailed("read", path, error))

    def read_ahead(self, fd: int, entries: Sequence[str], base: str) -> None:
        """Parse many documents by several processes, where that pays: then identify is quick."""
        workers = crew.size(len(entries), self._cpus)
        if workers > 1:
            for _, read in crew.spread(entries, partial(self._read_part, fd, base), workers):
                self._read.update(read or {})  # what a killed process left is read when needed

    def _read_part(
        self, fd: int, base: str, entries: Sequence[str]
    ) -> dict[tuple[int, int], Identity | str]:
        for entry in entries:
            self.identify(fd, entry, f"{base}/{entry}")
        return self._read

    def forget(self) -> None:
        """Drop what was remembered of documents."""
        self._read.clear()


def link_text(fd: int, entry: str) -> str | None:
    """The text of a symlink, or None for anything else."""
    try:
        return os.readlink(entry, dir_fd=fd)
    except OSError:
        return None


def config_target(text: str) -> str | None:
    """The UUID that one of our config links names, or None when it is not ours."""
    uuid = text[len(STORE) + 1 : -4]
    return uuid if text == f"{STORE}/{uuid}.xml" and is_uuid(uuid) else None


def log_target(text: str) -> tuple[str, str] | None:
    """The UUID and suffix that one of our log links names, or None when it is not ours."""
    if not text.startswith(f"{STORE}/"):
        return None
    uuid, suffix = text[len(STORE) + 1 : len(STORE) + 37], text[len(STORE) + 37 :]
    if suffix == ".log":
        return (uuid, "") if is_uuid(uuid) else None
    parts = split_log(text[len(STORE) + 1 :])
    return parts if parts is not None and is_uuid(parts[0]) else None
