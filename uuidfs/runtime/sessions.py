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
from uuidfs.files.directory import closing, listed, opened
from uuidfs.files.entry import read_small
from uuidfs.files.small import replace_file
from uuidfs.layout.names import normal_uuid
from uuidfs.layout.places import Kind, Layout, Place
from uuidfs.runtime import peer_uuids
from uuidfs.runtime.flock import make_lock_directory

DIRECTORY = "local-migration"

LIMIT = 65536  # bytes of a session file


BEGIN, OUT, PEER, BACK, HOME = "begin", "out", "peer", "back", "home"

PHASES = (BEGIN, OUT, PEER, BACK, HOME)

AWAY = frozenset({OUT, PEER, BACK})

"""The guest lives in the peer, or may: a start on the host would be a second running copy."""


class Session(NamedTuple):
    """One local migration. ``start`` is the owner's start time in clock ticks since boot (field
    22 of /proc/PID/stat), so that a later process with the same number is not taken for it;
    ``since`` is seconds since the epoch."""

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
        )
        self.path = path
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


def place(layout: Layout) -> Place:
    """The directory of the sessions."""
    return layout.locks.parent.child(DIRECTORY)


def path_of(layout: Layout, uuid: str) -> str:
    """Where the session of a domain is, when there is one."""
    return f"{place(layout).path}/{uuid}.json"


def started_at(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    return None if fields[0] in {b"Z", b"X"} else int(fields[19])


def read(layout: Layout, uuid: str) -> Session | None:
    """The session of a domain; None when there is none.

    Raises Refused when it cannot be understood: then it holds all the same.
    """
    import json  # 3 ms that the hook and most runs do not need

    path = path_of(layout, uuid)
    fd = opened(place(layout))
    if fd is None:
        return None
    with closing(fd):
        try:
            fields: dict[str, Any] = json.loads(read_small(fd, f"{uuid}.json", LIMIT, path))
            known = {key: fields[key] for key in Session._fields if key in fields}
            session = Session(**known)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SystemCallFailed("read", path, error) from error
        except (ValueError, TypeError) as error:
            raise Refused(path, "this is no session that can be read") from error
    return session


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


def real_uuid(layout: Layout, uuid: str) -> str:
    """The domain that a UUID stands for: itself, or the one whose peer it is."""
    if not os.path.lexists(place(layout).path):
        return uuid  # nobody ever began one since the boot
    migration = peer_uuids.migration_uuid(layout)
    if migration is None:
        return uuid
    real = peer_uuids.exchanged(uuid, migration)
    return real if os.path.lexists(path_of(layout, real)) else uuid


def all_sessions(layout: Layout) -> list[Session]:
    """All that can be read, in the order of their UUIDs."""
    where = place(layout)
    fd = opened(where)
    if fd is None:
        return []
    with closing(fd):
        uuids = sorted(entry[:-5] for entry in listed(fd, where.path) if entry.endswith(".json"))
    found = []
    for uuid in uuids:
        try:
            session = read(layout, uuid) if normal_uuid(uuid) == uuid else None
        except Refused:
            continue
        if session is not None:
            found.append(session)
    return found


def aside(layout: Layout) -> Place:
    """Where metadata is kept while its domain is away (:mod:`uuidfs.aside`)."""
    return layout.stores[Kind.SNAPSHOT].parent.child("aside")


def orphans(layout: Layout) -> list[str]:
    """Domains whose session has lost its owner, and those of which a boot left metadata aside."""
    found = {session.uuid: session.alive for session in all_sessions(layout)}
    where = aside(layout)
    fd = opened(where)
    if fd is not None:
        with closing(fd):
            for entry in listed(fd, where.path):
                if entry.endswith(".json") and normal_uuid(entry[:-5]) == entry[:-5]:
                    found.setdefault(entry[:-5], False)
    return sorted(uuid for uuid, alive in found.items() if not alive)


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
) -> Session:
    """Open a session for the process ``pid``; to be called with the domain's lock held.

    Raises InSession when there is one already, UsageError when there is no such process.
    """
    guard(layout, uuid)
    start = started_at(pid)
    if start is None:
        raise UsageError(f"there is no process {pid}")
    # libvirt names files after the peer, with 255 bytes for NAME.xml.new.
    short = os.fsencode(name)[:200].decode(errors="ignore")
    session = Session(
        uuid,
        name,
        BEGIN,
        pid,
        start,
        time.time(),
        tool,
        peer_uuids.exchanged(uuid, peer_uuids.make_migration_uuid(layout)),
        f"{short}-incoming",
        directory,
        socket,
        new_name,
    )
    write(layout, session)
    return session


def change(layout: Layout, session: Session, **fields: Any) -> Session:
    """Replace some fields; returns the new session once it is in place."""
    session = session._replace(**fields)
    if session.phase not in PHASES:
        raise UsageError(f"a phase is one of {', '.join(PHASES)}")
    write(layout, session)
    return session


def write(layout: Layout, session: Session) -> None:
    """Replace the file: complete or not at all. Raises SystemCallFailed or Refused."""
    import json

    where = place(layout)
    make_lock_directory(where)
    # One line, and "phase": "NAME" as json writes it: hooks/qemu looks for that in sh.
    text = json.dumps({"version": 1, **session._asdict()}) + "\n"
    replace_file(where, f"{session.uuid}.json", text.encode())


def end(layout: Layout, session: Session) -> None:
    """Close a session; one that is closed already is fine."""
    fd = opened(place(layout))
    if fd is not None:
        with closing(fd):
            for entry in (f"{session.uuid}.json", f"{session.uuid}.incoming"):
                try:
                    unlink(fd, entry)
                except OSError as error:
                    raise SystemCallFailed(
                        "remove", path_of(layout, session.uuid), error
                    ) from error


def mine(session: Session) -> bool:
    """Whether this process is the session's owner, or was started by it at any remove."""
    pid = os.getpid()
    while pid > 1:
        if pid == session.pid:
            return session.alive
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                text = file.read()
        except OSError:
            return False
        pid = int(text[text.rindex(b")") + 2 :].split()[1])
    return False
