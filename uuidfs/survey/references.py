"""Links to metadata in directories of no domain: a scan's look for strays.

QEMU's user makes such directories and fills them without end. What root did not make holds no link
of ours, unless somebody gave it away: of all that no more is read than a bound.
"""

import stat

from uuidfs.errors import Refused
from uuidfs.files.directory import Directory
from uuidfs.layout.names import is_uuid
from uuidfs.layout.places import Kind
from uuidfs.survey.scan import Problem, Scan

FOREIGN_NAMES = 10_000
"""Directories that root did not make and names in them, of one kind: a domain has at most some
thousands of snapshots."""


class References:
    """Notes the strays of one kind in a scan; ``trusted`` are the owners of libvirt's files."""

    def __init__(self, scan: Scan, kind: Kind, trusted: frozenset[int]) -> None:
        self._scan = scan
        self._kind = kind
        self._trusted = trusted
        self._left = FOREIGN_NAMES

    def look(self, names: Directory, name: str) -> None:
        """Note the UUIDs to whose files a directory has links. Raises UuidfsError."""
        found = names.stat(name)
        if found is None or not stat.S_ISDIR(found.st_mode):
            return  # nothing in it refers to anything
        foreign = found.st_uid not in self._trusted
        if foreign and self._left <= 0:
            return
        try:
            directory = names.child(name)
        except Refused:
            return  # no directory any more
        if directory is None:
            return
        with directory:
            entries = directory.list()
            if foreign:
                entries = self._first(directory, entries, found.st_uid)
            for entry in entries:
                parts = (directory.link_text(entry) or "").split("/")
                if len(parts) > 1 and is_uuid(parts[-2]):
                    self._scan.strays.setdefault(parts[-2], {})[self._kind, name] = None

    def _first(self, directory: Directory, entries: list[str], owner: int) -> list[str]:
        """Those that are read. The scan stays complete: libvirt made none of them."""
        some = entries[: self._left]
        self._left -= 1 + len(entries)
        if self._left <= 0:
            reason = (
                f"{FOREIGN_NAMES} names or more lie in directories of no domain that root did not "
                f"make, this one of uid {owner} for example: the rest is not read"
            )
            self._scan.problems.append(Problem(directory.path, reason))
        return some
