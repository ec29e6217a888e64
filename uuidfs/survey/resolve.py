"""Which domain a word on the command line means."""

from collections.abc import Iterable

from uuidfs.errors import NoSuchDomain
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import normal_uuid
from uuidfs.layout.places import Layout
from uuidfs.runtime import peer_uuids
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor


def resolve(layout: Layout, domain: str) -> tuple[str, str | None]:
    """The UUID and the name that a name, a UUID or a peer's UUID stands for."""
    with TrustedDirs(layout) as dirs:
        scan = scan_all(Surveyor(dirs, read_lxml).documents)
    try:
        uuid = uuid_of(scan, domain)
    except NoSuchDomain:
        uuid = _real(layout, scan, domain)
    names = scan.names_of.get(uuid, [])
    return uuid, names[0] if names else None


def _real(layout: Layout, scan: Scan, domain: str) -> str:
    migration = peer_uuids.migration_uuid(layout)
    if migration is None or len(domain) < 32:
        raise NoSuchDomain(domain)
    try:
        return uuid_of(scan, peer_uuids.exchanged(domain, migration))
    except ValueError:
        raise NoSuchDomain(domain) from None


def uuids_of(scan: Scan, domains: Iterable[str]) -> tuple[list[str], list[Problem]]:
    """The UUIDs that names or UUIDs mean, and what to say of those that mean none.

    Raises NoSuchDomain where one alone is asked for.
    """
    domains = list(domains)
    uuids, unknown = [], []
    for domain in domains:
        try:
            uuids.append(uuid_of(scan, domain))
        except NoSuchDomain as error:
            if len(domains) == 1:
                raise
            unknown.append(Problem("", str(error), domain))
    return list(dict.fromkeys(uuids)), unknown


def uuid_of(scan: Scan, domain: str) -> str:
    """Return the UUID that a name or UUID on the command line means, in virsh's order.

    virsh 9.0 takes a UUID before a name, so a domain whose name is another one's UUID is
    reached by its own UUID. Raises NoSuchDomain.
    """
    uuid = normal_uuid(domain) if len(domain) >= 32 else None
    if uuid is not None and (uuid in scan.names_of or uuid in scan.uuids()):
        return uuid
    if domain in scan.uuid_of:
        return scan.uuid_of[domain]
    for problem in scan.problems:
        if problem.name == domain:
            raise NoSuchDomain(domain, f"{problem.path}: {problem.reason}")
    raise NoSuchDomain(domain)
