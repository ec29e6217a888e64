"""What is in the trash, and of which domains: also of those that are gone."""

from collections.abc import Iterable
from typing import NamedTuple

from uuidfs.errors import AmbiguousDomain, NoSuchDomain, UuidfsError
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import normal_uuid
from uuidfs.layout.places import Kind, Layout
from uuidfs.layout.words import alike, beginning_so
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import Identity, Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.resolve import uuid_of
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.trash.entries import TrashEntry, named, survey


class Listing(NamedTuple):
    """Entries, oldest first; names of the UUIDs that are bound; what is not ours.

    ``last_names``: of UUIDs that are not bound, as their last config says. ``uuids``: all that are
    known, also those that were not asked for, and so with ``ids``.
    """

    entries: tuple[TrashEntry, ...]
    names: dict[str, str]
    strangers: tuple[Problem, ...]
    last_names: dict[str, str]
    uuids: tuple[str, ...]
    ids: tuple[str, ...]

    def name_of(self, uuid: str) -> str | None:
        """What a domain is called, or was; None where nothing says it."""
        return self.names.get(uuid) or self.last_names.get(uuid)


def listing(
    layout: Layout, domains: tuple[str, ...] | None = None, reader: Reader = read_lxml
) -> Listing:
    """The entries of some domains or of all, with the names that their UUIDs have now, or had.

    A domain that is gone is known by its UUID, how that begins, and by the name that its config
    in the trash says. Raises NoSuchDomain, AmbiguousDomain, and as
    :func:`uuidfs.trash.entries.entries`.
    """
    with TrustedDirs(layout) as dirs:
        found, strangers = survey(dirs)
        documents = Documents(dirs, reader)
        scan = scan_all(documents)
        uuids = {entry.uuid for entry in found} | set(scan.uuids())
        ids = tuple(entry.id for entry in found)
        gone = _last_names(dirs, documents, scan, found)
        if domains is not None:
            wanted = {uuid for domain in domains for uuid in _uuids(scan, found, gone, domain)}
            found = tuple(entry for entry in found if entry.uuid in wanted)
            strangers = ()
        names = {uuid: names[0] for uuid, names in scan.names_of.items() if len(names) == 1}
        last = {uuid: names[-1] for uuid, names in gone.items()}
        return Listing(found, names, strangers, last, tuple(sorted(uuids)), ids)


def _last_names(
    dirs: TrustedDirs, documents: Documents, scan: Scan, found: Iterable[TrashEntry]
) -> dict[str, list[str]]:
    """What UUIDs that have no name were called, by their configs in trash and store; the last name
    last. What cannot be read says nothing."""
    gone: dict[str, list[str]] = {}
    entries = [entry for entry in found if entry.uuid not in scan.names_of]
    for entry in entries:
        if entry.kind is Kind.CONFIG:
            try:
                name = named(dirs, entry, documents.reader)
            except UuidfsError:
                continue
            if name is not None:
                gone.setdefault(entry.uuid, []).append(name)
    store = dirs.store(Kind.CONFIG)
    for uuid in sorted({entry.uuid for entry in entries}):
        if store is not None and f"{uuid}.xml" in scan.config_store:
            identity = documents.identify(store, f"{uuid}.xml")
            if isinstance(identity, Identity) and identity.name is not None:
                gone.setdefault(uuid, []).append(identity.name)
    return gone


def _uuids(
    scan: Scan, found: Iterable[TrashEntry], gone: dict[str, list[str]], domain: str
) -> set[str]:
    """The UUIDs that a domain's name or UUID on the command line means."""
    try:
        return {uuid_of(scan, domain)}
    except NoSuchDomain:
        uuids = {entry.uuid for entry in found}
        plain = normal_uuid(domain)
        if plain in uuids:
            return {plain}
        called = {uuid for uuid, names in gone.items() if domain in names}
        if called:
            return called
        begun = beginning_so(uuids, domain)
        if len(begun) > 1:
            raise AmbiguousDomain(
                domain, [(uuid, gone.get(uuid, [""])[-1]) for uuid in begun]
            ) from None
        if begun:
            return set(begun)
        known = {*scan.uuid_of, *(name for names in gone.values() for name in names)}
        raise NoSuchDomain(domain, near=alike(domain, known)) from None
