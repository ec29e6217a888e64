"""Reads from libvirt's files which firmware each domain claims; changes nothing.

A document that libvirt has not replaced is not read again: whoever looks often keeps one
:class:`Definitions`.
"""

from typing import NamedTuple

from uuidfs.errors import UuidfsError
from uuidfs.files.directory import Directory, opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.firmware.paths import Claim, claims_of
from uuidfs.layout.places import Kind, Layout
from uuidfs.survey.identity import MAX_BYTES, Identity, read_expat
from uuidfs.survey.scan import Problem, Scan


class Domain(NamedTuple):
    """A domain and what it claims: by its definition, and, while it runs, by its live XML.

    ``ran``: there is a log of it, or under its name. ``defined``: when its definition was written,
    in nanoseconds since the epoch, 0 where there is none. ``renamed``: libvirt has written the
    definition under another name than the one that uuidfs has put into the store.
    """

    uuid: str
    name: str
    persistent: bool
    running: bool
    claims: tuple[Claim, ...] = ()
    live: tuple[Claim, ...] = ()
    ran: bool = True
    defined: int = 0
    renamed: bool = False

    @property
    def paths(self) -> frozenset[str]:
        """All paths that it names now, or will at its next start."""
        return frozenset(claim.path for claim in (*self.claims, *self.live))


class Definitions:
    """Reads the definitions of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._read: dict[tuple[int, int], tuple[Claim, ...]] = {}

    def all(self, dirs: TrustedDirs, scan: Scan) -> tuple[tuple[Domain, ...], tuple[Problem, ...]]:
        """Every domain that claims any firmware, by name; and what could not be read.

        While something could not be read, a file that nobody seems to claim may be claimed.
        """
        found: list[Domain] = []
        problems: list[Problem] = []
        seen: dict[tuple[int, int], tuple[Claim, ...]] = {}
        status = opened(self.layout.status)
        try:
            for name, uuid in sorted(scan.uuid_of.items()):
                try:
                    domain = self._domain(dirs, scan, status, name, uuid, seen)
                except UuidfsError as error:
                    problems.append(Problem(error.path, error.reason, name))
                    continue
                if domain.paths:
                    found.append(domain)
        finally:
            if status is not None:
                status.close()
        self._read = seen
        return tuple(found), tuple(problems)

    def _domain(
        self,
        dirs: TrustedDirs,
        scan: Scan,
        status: Directory | None,
        name: str,
        uuid: str,
        seen: dict[tuple[int, int], tuple[Claim, ...]],
    ) -> Domain:
        entry = f"{name}.xml"
        persistent = scan.source_of[name] == "config"
        claimed: tuple[Claim, ...] = ()
        defined = 0
        renamed = False
        if persistent:
            linked = scan.configs.get(entry) is not None
            directory = dirs.store(Kind.CONFIG) if linked else dirs.names(Kind.CONFIG)
            document = f"{uuid}.xml" if linked else entry
            if directory is not None:
                claimed = self._claims(directory, document, seen) or ()
                there = directory.look(document) if claimed else None
                defined = there.mtime if there is not None else 0
            renamed = bool(claimed) and not linked and _former(dirs, uuid) not in {None, name}
        live = None if status is None else self._claims(status, entry, seen)
        ran = (
            live is not None
            or uuid in scan.log_store
            or any(scan.logs[log] is None for _, log in scan.logs_of_name.get(name, ()))
        )
        return Domain(
            uuid, name, persistent, live is not None, claimed, live or (), ran, defined, renamed
        )

    def _claims(
        self, directory: Directory, entry: str, seen: dict[tuple[int, int], tuple[Claim, ...]]
    ) -> tuple[Claim, ...] | None:
        """None where there is no such file. Raises UuidfsError."""
        found = directory.look(entry)
        if found is None:
            return None
        key = (found.ino, found.ctime)
        if key not in self._read:
            data = directory.read(entry, MAX_BYTES)
            if data is None:
                return None
            self._read[key] = self._parsed(data)
        seen[key] = self._read[key]
        return seen[key]

    def _parsed(self, data: bytes) -> tuple[Claim, ...]:
        try:
            return claims_of(self.layout, data)
        except ValueError:
            return ()  # the scan says so


def _former(dirs: TrustedDirs, uuid: str) -> str | None:
    """The name under which uuidfs has last seen a domain whose config is no link now."""
    store = dirs.store(Kind.CONFIG)
    data = store.read(f"{uuid}.xml", MAX_BYTES) if store is not None else None
    identity = read_expat(data) if data is not None else ""
    return identity.name if isinstance(identity, Identity) else None
