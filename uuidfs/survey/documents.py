"""Reads libvirt's documents, each of them once."""

from collections.abc import Sequence
from functools import partial

from uuidfs.errors import Changed, UuidfsError
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.files.trusted import TrustedDirs
from uuidfs.survey.identity import MAX_BYTES, Identity, Reader
from uuidfs.survey.view import Pair

_MISSING = "it is gone"
_TRIES = 8  # looks at a document that libvirt replaces again and again


class Documents:
    """The documents of one layout; remembers what it parsed as long as the file is the same.

    ``cpus`` above 1 lets it parse many in that many processes.
    """

    def __init__(self, dirs: TrustedDirs, reader: Reader, cpus: int = 1) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self.reader = reader
        self._cpus = cpus
        self._read: dict[tuple[int, int], Identity | str] = {}

    def identify(
        self, directory: Directory, entry: str, found: Entry | None = None
    ) -> Identity | str:
        """Return who a document is about, or the reason why that cannot be told.

        libvirt replaces documents, it never rewrites them in place, so an inode that was
        read once is not read again (a changed mtime or size makes it another key).
        ``found`` is what the caller has just seen there, and judged: raises Changed when another
        file is there by now.
        """
        for _ in range(_TRIES):
            try:
                return self._identify(directory, entry, found)
            except Changed:
                if found is not None:
                    raise
            except UuidfsError as error:
                return error.reason
        return "it is replaced all the time"

    def _identify(self, directory: Directory, entry: str, found: Entry | None) -> Identity | str:
        found = found or directory.look(entry)
        if found is None:
            return _MISSING
        key = (found.ino, found.ctime)
        if key not in self._read:
            data = directory.read(entry, MAX_BYTES, found)
            if data is None:
                return _MISSING
            self._read[key] = self.reader(data)
        return self._read[key]

    def read_ahead(self, directory: Directory, entries: Sequence[str]) -> None:
        """Parse many documents by several processes, where that pays: then identify is quick."""
        if self._cpus == 1:
            return
        from uuidfs import workers  # the hook reads one document, in one process

        count = workers.size(len(entries), self._cpus)
        if count > 1:
            for _, read in workers.spread(entries, partial(self._read_part, directory), count):
                self._read.update(read or {})  # what a killed process left is read when needed

    def _read_part(
        self, directory: Directory, entries: Sequence[str]
    ) -> dict[tuple[int, int], Identity | str]:
        for entry in entries:
            self.identify(directory, entry)
        return self._read

    def with_trashed(self, uuid: str, pair: Pair) -> Pair:
        """Note where the file of a link is that leads nowhere (:mod:`uuidfs.survey.trashed`)."""
        if pair.in_store is not None or pair.at_name is None or pair.at_name.text is None:
            return pair
        from uuidfs.survey.trashed import with_trashed  # rare, and the hook has no time

        return with_trashed(self.dirs, uuid, pair)

    def forget(self) -> None:
        """Drop what was remembered of documents."""
        self._read.clear()
