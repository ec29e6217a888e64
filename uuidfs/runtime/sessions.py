"""Sessions of local migrations: /run/uuidfs/local-migration/UUID.json.

While a domain has one, nobody but its owner touches the domain's files, and hooks/qemu refuses
to start the domain a second time in the phases of AWAY. docs/local-migration.md specifies the
file for helpers in other languages. The hook imports this: no dataclasses, no pathlib.
"""

import os
import time
from typing import Any, NamedTuple

from uuidfs.errors import Busy, Refused, SystemCallFailed, UsageError, UuidfsError, show
from uuidfs.files.change import unlink
from uuidfs.files.directory import opened
from uuidfs.files.small import replace_file
from uuidfs.layout.names import is_uuid
from uuidfs.layout.places import Layout, Place
from uuidfs.runtime import peer_uuids
from uuidfs.runtime.flock import make_lock_directory
from uuidfs.runtime.owners import started_at, started_by
from uuidfs.runtime.records import LIMIT, parse_record, record_bytes

BEGIN, OUT, PEER, BACK, HOME = "begin", "out", "peer", "back", "home"

PHASES = (BEGIN, OUT, PEER, BACK, HOME)

RECOVERY = "recovery"

"""The tool of a session for what an earlier boot left aside."""

AWAY = frozenset({OUT, PEER, BACK})

"""The guest lives in the peer, or may: a start on the host would be a second running copy."""


class Session(NamedTuple):
    """One local migration. ``start`` is the owner's start time in clock ticks since boot (field
    22 of /proc/PID/stat), so that a later process with the same number is not taken for it;
    ``since`` is seconds since the epoch. ``token`` stands in the XML of the way home, and in no
    other: hooks/qemu tells the two apart by it. ``oom_score_adj`` is what the guest's process had
    when the trip began."""

    uuid: str
    name: str
    phase: str
    pid: int
    start: int
    since: float
    tool: str
    peer_uuid: str
    peer_name: str
    directory: str = ""
    socket: str = ""
    new_name: str | None = None
    token: str = ""
    oom_score_adj: int = 0

    @property
    def alive(self) -> bool:
        """Whether its owner still runs."""
        return started_at(self.pid) == self.start


class InSession(Busy):
    """The domain is being moved by a session, and only its owner may touch its files."""

    def __init__(self, path: str, session: Session | None) -> None:
        UuidfsError.__init__(
            self,
            f"busy: {_what(session)}: {show(path)}; wait, or where its "
            "owner has died run: uuidfs local-migrate --recover",
            path,
        )
        self.waited = 0.0
        self.session = session


class NoSession(UuidfsError):
    """There is no session of this domain."""

    def __init__(self, domain: str) -> None:
        super().__init__(f"{show(domain)} has no session; uuidfs session list shows all")
        self.domain = domain


class NotOwner(UuidfsError):
    """Only the process that began a session, or one that it started, changes it."""

    def __init__(self, session: Session) -> None:
        super().__init__(
            f"the session of {show(session.name)} belongs to process {session.pid} ({session.tool})"
        )
        self.session = session


def _what(session: Session | None) -> str:
    if session is None:
        return "a local migration that cannot be read"
    return (
        f"{show(session.name)} is in a local migration (phase {session.phase}, "
        f"process {session.pid})"
    )


def path_of(layout: Layout, uuid: str) -> str:
    """Where the session of a domain is, when there is one."""
    return f"{layout.sessions.path}/{uuid}.json"


def read(layout: Layout, uuid: str) -> Session | None:
    """The session of a domain; None when there is none.

    Raises Refused when it cannot be understood: then it holds all the same.
    """
    directory = opened(layout.sessions)
    if directory is None:
        return None
    with directory:
        data = directory.read(f"{uuid}.json", LIMIT)
    try:
        return parse_record(data, Session) if data is not None else None
    except ValueError as error:
        path = path_of(layout, uuid)
        raise Refused(path, "this is no session that can be read") from error


def guard(layout: Layout, uuid: str) -> None:
    """Raise InSession when the domain, or the one whose peer this is, has a session.

    To be called with the domain's lock held: nobody begins a session without it.
    """
    for one in dict.fromkeys((uuid, real_uuid(layout, uuid))):
        path = path_of(layout, one)
        if os.path.lexists(path):
            try:
                session = read(layout, one)
            except UuidfsError:
                raise InSession(path, None) from None
            if session is not None:
                raise InSession(path, session)


def guard_all(layout: Layout) -> None:
    """Raise InSession when any domain has a session, by a file that nobody can read as well."""
    for uuid in _uuids(layout.sessions):
        try:
            session = read(layout, uuid)
        except UuidfsError:
            raise InSession(path_of(layout, uuid), None) from None
        if session is not None:
            raise InSession(path_of(layout, uuid), session)


def real_uuid(layout: Layout, uuid: str) -> str:
    """The domain that a UUID stands for: itself, or the one whose peer it is."""
    if not os.path.lexists(layout.sessions.path):
        return uuid  # nobody ever began one since the boot
    migration = peer_uuids.migration_uuid(layout)
    if migration is None:
        return uuid
    real = peer_uuids.exchanged(uuid, migration)
    return real if os.path.lexists(path_of(layout, real)) else uuid


def all_sessions(layout: Layout) -> list[Session]:
    """All that can be read, in the order of their UUIDs."""
    found = []
    for uuid in _uuids(layout.sessions):
        try:
            session = read(layout, uuid)
        except Refused:
            continue
        if session is not None:
            found.append(session)
    return found


def _uuids(where: Place) -> list[str]:
    """The UUIDs for which a directory has a UUID.json."""
    directory = opened(where)
    if directory is None:
        return []
    with directory:
        names = (name[:-5] for name in directory.list() if name.endswith(".json"))
        return sorted(name for name in names if is_uuid(name))


def set_aside(layout: Layout) -> frozenset[str]:
    """The domains whose metadata is kept aside: no name refers to its files, and none is lost."""
    return frozenset(_uuids(layout.aside))


class OpenTrip(NamedTuple):
    """A local migration that is not over. ``since`` tells one of a domain from its next one; None
    for what an earlier boot left aside, also while that is recovered."""

    since: float | None
    alive: bool


def open_trips(layout: Layout) -> dict[str, OpenTrip]:
    """By UUID: the sessions, and the domains of which a boot left metadata aside."""
    found = {
        session.uuid: OpenTrip(None if session.tool == RECOVERY else session.since, session.alive)
        for session in all_sessions(layout)
    }
    for uuid in set_aside(layout):
        found.setdefault(uuid, OpenTrip(None, alive=False))
    return found


def orphans(layout: Layout) -> list[str]:
    """Domains whose session has lost its owner, and those of which a boot left metadata aside."""
    return sorted(uuid for uuid, trip in open_trips(layout).items() if not trip.alive)


def begin(
    layout: Layout,
    uuid: str,
    name: str,
    *,
    pid: int,
    tool: str,
    new_name: str | None = None,
    directory: str = "",
    socket: str = "",
    oom_score_adj: int = 0,
) -> Session:
    """Open a session for the process ``pid``; to be called with the domain's lock held.

    Raises InSession when there is one already, UsageError when there is no such process.
    """
    guard(layout, uuid)
    start = started_at(pid)
    if start is None:
        raise UsageError(f"there is no process {pid}")
    session = Session(
        uuid,
        name,
        BEGIN,
        pid,
        start,
        time.time(),
        tool,
        peer_uuids.exchanged(uuid, peer_uuids.make_migration_uuid(layout)),
        peer_uuids.peer_name(name),
        directory,
        socket,
        new_name,
        new_token(),
        oom_score_adj,
    )
    write(layout, session)
    return session


def new_token() -> str:
    """One that nobody can have guessed or kept from another trip: 32 hexadecimal digits."""
    return os.urandom(16).hex()


def change(layout: Layout, session: Session, **fields: Any) -> Session:
    """Replace some fields; returns the new session once it is in place."""
    session = session._replace(**fields)
    if session.phase not in PHASES:
        raise UsageError(f"a phase is one of {', '.join(PHASES)}")
    write(layout, session)
    return session


def write(layout: Layout, session: Session) -> None:
    """Replace the file: complete or not at all. Raises SystemCallFailed or Refused."""
    make_lock_directory(layout.sessions)
    replace_file(layout.sessions, f"{session.uuid}.json", record_bytes(session._asdict()))


def end(layout: Layout, session: Session) -> None:
    """Close a session; one that is closed already is fine."""
    directory = opened(layout.sessions)
    if directory is None:
        return
    with directory:
        name = f"{session.uuid}.json"
        try:
            unlink(directory, name)
        except OSError as error:
            raise SystemCallFailed("remove", directory.at(name), error) from error


def mine(session: Session) -> bool:
    """Whether this process is the session's owner, or was started by it at any remove."""
    return session.alive and started_by(session.pid)
