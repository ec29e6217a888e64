"""Which domain a word on the command line means."""

from collections.abc import Iterable

from uuidfs.errors import AmbiguousDomain, NoSuchDomain
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import normal_uuid
from uuidfs.layout.places import Layout
from uuidfs.layout.words import alike, beginning_so
from uuidfs.runtime import peer_uuids
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor


def resolve(layout: Layout, domain: str) -> tuple[str, str | None]:
    """The UUID and the name that a name, a UUID, its beginning or a peer's UUID stands for."""
    with TrustedDirs(layout) as dirs:
        scan = scan_all(Surveyor(dirs, read_lxml).documents)
    try:
        uuid = uuid_of(scan, domain)
    except NoSuchDomain as error:
        uuid = _real(layout, scan, domain, error)
    names = scan.names_of.get(uuid, [])
    return uuid, names[0] if names else None


def known_uuids(layout: Layout) -> list[str]:
    """Of all domains, and of files in the stores. Raises SystemCallFailed."""
    with TrustedDirs(layout) as dirs:
        return scan_all(Surveyor(dirs, read_lxml).documents).uuids()


def _real(layout: Layout, scan: Scan, domain: str, unknown: NoSuchDomain) -> str:
    migration = peer_uuids.migration_uuid(layout)
    if migration is None or len(domain) < 32:
        raise unknown
    try:
        return uuid_of(scan, peer_uuids.exchanged(domain, migration))
    except ValueError:
        raise unknown from None


def uuids_of(scan: Scan, domains: Iterable[str]) -> tuple[list[str], list[Problem]]:
    """The UUIDs that names or UUIDs mean, and what to say of those that mean none.

    Raises NoSuchDomain or AmbiguousDomain where one alone is asked for.
    """
    domains = list(domains)
    uuids, unknown = [], []
    for domain in domains:
        try:
            uuids.append(uuid_of(scan, domain))
        except (NoSuchDomain, AmbiguousDomain) as error:
            if len(domains) == 1:
                raise
            unknown.append(Problem("", str(error), domain))
    return list(dict.fromkeys(uuids)), unknown


def uuid_of(scan: Scan, domain: str) -> str:
    """Return the UUID that a name or UUID on the command line means, in virsh's order.

    virsh 9.0 takes a UUID before a name, so a domain whose name is another one's UUID is
    reached by its own UUID. The beginning of a UUID, of 8 digits or more, comes last: virsh does
    not know it, so a name that looks like one is a name. Raises NoSuchDomain, and AmbiguousDomain
    for a beginning of several.
    """
    uuid = normal_uuid(domain) if len(domain) >= 32 else None
    if uuid is not None and (uuid in scan.names_of or uuid in scan.uuids()):
        return uuid
    if domain in scan.uuid_of:
        return scan.uuid_of[domain]
    for problem in scan.problems:
        if problem.name == domain:
            raise NoSuchDomain(domain, f"{problem.path}: {problem.reason}")
    for known in (scan.names_of, scan.uuids()):  # whose files are left come after those that exist
        found = beginning_so(known, domain)
        if len(found) > 1:
            names = {each: scan.names_of.get(each, [None])[0] for each in found}
            raise AmbiguousDomain(domain, names.items())
        if found:
            return found[0]
    raise NoSuchDomain(domain, near=alike(domain, scan.uuid_of))
