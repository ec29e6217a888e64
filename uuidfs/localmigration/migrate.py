"""Moves a domain, or recovers what a dead owner began: one session from end to end."""

import contextlib
import os
import time
from typing import Any

from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.errors import Busy, Refused, UsageError, UuidfsError, show
from uuidfs.layout.names import is_uuid
from uuidfs.layout.places import Kind, Layout
from uuidfs.localmigration import set_aside as asides
from uuidfs.localmigration.connection import connect, find, lookup
from uuidfs.localmigration.hop import MigrationOptions
from uuidfs.localmigration.host_daemon import host_daemon
from uuidfs.localmigration.log_link import BY
from uuidfs.localmigration.open_firmware import give_own_names
from uuidfs.localmigration.preflight import CannotMove, pid_file, preflight
from uuidfs.localmigration.processes import process_of
from uuidfs.localmigration.results import (
    BUSY,
    CAN_MOVE,
    FAILED,
    RECOVERED,
    REFUSED,
    TripResult,
)
from uuidfs.localmigration.trip import Trip
from uuidfs.runtime import sessions
from uuidfs.runtime.domain_locks import Locks
from uuidfs.runtime.owners import started_at
from uuidfs.runtime.sessions import HOME, Session


class GuestEnded(UuidfsError):
    """The guest ended on the way: by itself, or because somebody destroyed it. Nothing is open."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{show(name)} has ended while it was moved (shut down from within, crashed or "
            f"destroyed); it is off, and its session is closed"
        )
        self.name = name


def local_migrate(layout: Layout, wanted: str, options: MigrationOptions) -> TripResult:
    """Move one running domain into a fresh QEMU process, under another name where wished.

    Raises CannotMove before anything was changed, Busy when the lock is held or a session is
    open, GuestEnded, and other UuidfsErrors with the guest at home, or with a message that says
    where it is.
    """
    began = time.monotonic()
    host = connect(layout.uri)
    try:
        try:
            domain = find(host, wanted)
        except UsageError:
            if is_uuid(wanted):
                sessions.guard(layout, wanted)  # a transient one is not known while it is away
            raise
        name, uuid = str(domain.name()), str(domain.UUIDString())
        trip: Trip | None = None
        try:
            with Locks(layout, options.lock_timeout, owner=True).hold(uuid):
                sessions.guard(layout, uuid)
                _put_back_earlier(layout, domain, uuid)
                preflight(layout, host, domain, options)
                if options.dry_run:
                    return TripResult(name, uuid, outcome=CAN_MOVE)
                if options.new_name is not None:
                    give_own_names(layout, domain)
                trip = Trip(layout, host, _begin(layout, uuid, name, options), options)
                where = trip.out_and_home(domain)
        finally:
            if trip is not None:
                catch_up(layout, uuid)
        if where == "gone":
            raise GuestEnded(name)
        if options.new_name is not None and trip.name != options.new_name:
            raise Refused(name, f"{trip.kept_name}, so the guest has kept its own name")
        return TripResult(
            trip.name,
            uuid,
            time.monotonic() - began,
            tuple(trip.downtimes),
            where,
            unconfined=trip.unconfined,
        )
    finally:
        host.close()


def _put_back_earlier(layout: Layout, domain: Any, uuid: str) -> None:
    """What a power cut left aside goes back first: this trip's would take its place."""
    kept = asides.kept(layout, uuid)
    if kept is not None:
        asides.put_back(layout, domain, kept)
        asides.drop(layout, uuid)


def _begin(layout: Layout, uuid: str, name: str, options: MigrationOptions) -> Session:
    directory = directory_of(layout, uuid)
    process = process_of(pid_file(layout, name))
    order = 0
    if process is not None:
        with process:
            order = process.oom_score_adj or 0
    return sessions.begin(
        layout,
        uuid,
        name,
        pid=os.getpid(),
        tool="uuidfs local-migrate",
        new_name=options.new_name,
        directory=directory,
        socket=f"{directory}/run/{host_daemon(layout).socket}",
        oom_score_adj=order,
    )


def recover(layout: Layout, uuid: str, options: MigrationOptions) -> TripResult:
    """Finish what a dead owner began: the guest goes home from where it runs.

    Raises Busy when the owner is alive or somebody else recovers, UuidfsError when it cannot
    be finished yet; then the session stays.
    """
    began = time.monotonic()
    with Locks(layout, options.lock_timeout, owner=True).hold(uuid):
        session = _taken_over(layout, uuid)
        host = connect(layout.uri)
        try:
            trip = Trip(layout, host, session, options)
            where = trip.home()
            trip.close()
            domain = lookup(host, uuid)
            name = str(domain.name()) if domain is not None else session.name
        finally:
            host.close()
    catch_up(layout, uuid)
    return TripResult(
        name,
        uuid,
        time.monotonic() - began,
        tuple(trip.downtimes),
        where,
        outcome=RECOVERED,
    )


def _taken_over(layout: Layout, uuid: str) -> Session:
    """The session of a dead owner, ours from now on; or one for what an earlier boot left."""
    session = sessions.read(layout, uuid)
    start = started_at(os.getpid()) or 0
    if session is not None:
        if session.alive and session.pid != os.getpid():
            raise sessions.InSession(sessions.path_of(layout, uuid), session)
        return sessions.change(layout, session, pid=os.getpid(), start=start)
    kept = asides.kept(layout, uuid)
    if kept is None:
        raise sessions.NoSession(uuid)
    # No guest is left of that boot: there are only snapshots and the like to put back.
    return Session(
        uuid,
        kept.name,
        HOME,
        os.getpid(),
        start,
        time.time(),
        sessions.RECOVERY,
        "",
        "",
        new_name=kept.new_name,
    )


def directory_of(layout: Layout, uuid: str) -> str:
    """The peer daemon's directory."""
    return f"{layout.sessions.path}/peer-{uuid}"


def catch_up(layout: Layout, uuid: str) -> None:
    """Convert what changed meanwhile, where the host is converted at all."""
    if os.path.isdir(layout.stores[Kind.CONFIG].path):
        with contextlib.suppress(UuidfsError):  # the reconciler comes back to it
            convert(layout, Options(domains=(uuid,), by=BY))


def failure(error: UuidfsError | OSError, name: str, uuid: str = "") -> TripResult:
    """One domain of several: what its trip raised becomes its result, and the others go on."""
    if isinstance(error, OSError):
        why = f"a system call failed: {error}"
        return TripResult(name, uuid, error=why, outcome=FAILED)
    outcome = FAILED
    if isinstance(error, Busy):
        outcome = BUSY
    elif isinstance(error, CannotMove | UsageError):
        outcome = REFUSED
    return TripResult(name, uuid, error=str(error), busy=outcome == BUSY, outcome=outcome)
