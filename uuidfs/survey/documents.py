"""Reads libvirt's documents once, and knows which symlinks are ours."""

import errno
import os
from collections.abc import Sequence
from functools import partial

from uuidfs import workers
from uuidfs.errors import SystemCallFailed, Unreadable
from uuidfs.files.entry import Entry, look, read_small
from uuidfs.files.trusted import TrustedDirs
from uuidfs.survey.identity import MAX_BYTES, Identity, Reader


class Documents:
    """The documents of one layout; remembers what it parsed as long as the file is the same.

    ``cpus`` above 1 lets it parse many in that many processes.
    """

    def __init__(self, dirs: TrustedDirs, reader: Reader, cpus: int = 1) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self._reader = reader
        self._cpus = cpus
        self._read: dict[tuple[int, int], Identity | str] = {}

    def identify(
        self, fd: int, entry: str, path: str, found: Entry | None = None
    ) -> Identity | str:
        """Return who a document is about, or the reason why that cannot be told.

        libvirt replaces documents, it never rewrites them in place, so an inode that was
        read once is not read again (a changed mtime or size makes it another key).
        ``found`` is what the caller has just seen there.
        """
        try:
            found = found or look(fd, entry)
            if found is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), entry)
            key = (found.ino, found.ctime)
            if key not in self._read:
                self._read[key] = self._reader(read_small(fd, entry, MAX_BYTES, path))
            return self._read[key]
        except Unreadable as error:
            return error.reason
        except OSError as error:
            return str(SystemCallFailed("read", path, error))

    def read_ahead(self, fd: int, entries: Sequence[str], base: str) -> None:
        """Parse many documents by several processes, where that pays: then identify is quick."""
        count = workers.size(len(entries), self._cpus)
        if count > 1:
            for _, read in workers.spread(entries, partial(self._read_part, fd, base), count):
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
