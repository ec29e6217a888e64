"""The Python API for helpers that move domains: docs/local-migration.md specifies it.

with Locks(layout, 10.0, owner=True).hold(uuid):
    guard(layout, uuid)
    session = begin(layout, uuid, name, pid=os.getpid(), tool="mine")
    session = change(layout, session, phase=OUT)
    ...
    end(layout, session)
"""

from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout
from uuidfs.runtime.domain_locks import Locks
from uuidfs.runtime.peer_uuids import exchanged, make_migration_uuid, migration_uuid
from uuidfs.runtime.sessions import (
    AWAY,
    BACK,
    BEGIN,
    HOME,
    OUT,
    PEER,
    PHASES,
    InSession,
    NoSession,
    NotOwner,
    Session,
    all_sessions,
    begin,
    change,
    end,
    guard,
    new_token,
    read,
    real_uuid,
)

__all__ = [
    "AWAY",
    "BACK",
    "BEGIN",
    "HOME",
    "OUT",
    "PEER",
    "PHASES",
    "InSession",
    "Layout",
    "Locks",
    "NoSession",
    "NotOwner",
    "Session",
    "all_sessions",
    "begin",
    "change",
    "end",
    "exchanged",
    "guard",
    "make_migration_uuid",
    "migration_uuid",
    "new_token",
    "peer_uuid",
    "read",
    "real_uuid",
    "system",
]


def peer_uuid(layout: Layout, uuid: str) -> str:
    """The UUID of a domain's peer in this boot; the migration UUID is made where there is none."""
    return exchanged(uuid, make_migration_uuid(layout))
