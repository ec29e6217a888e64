"""The trip of a running guest: out to a peer daemon, and home into a fresh QEMU process.

Going home is the same whether it is the second half of a trip or a recovery after a kill:
:mod:`uuidfs.homecoming`.
"""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from uuidfs import aside as asides
from uuidfs import hops, operate, sessions, travel
from uuidfs.errors import Busy, Refused, UsageError, UuidfsError, show
from uuidfs.homecoming import BY, Homecoming
from uuidfs.hops import Wishes
from uuidfs.layout import Kind, Layout
from uuidfs.locks import Locks
from uuidfs.peerdaemon import PeerDaemon
from uuidfs.preflight import preflight
from uuidfs.sessions import HOME, OUT, PEER, Session
from uuidfs.virt import connect, doing, find, module


class TripResult(NamedTuple):
    """``seconds`` in all, ``downtimes`` a hop in ms; ``where`` tells how a recovery ended."""

    name: str
    uuid: str
    seconds: float = 0.0
    downtimes: tuple[int, ...] = ()
    where: str = ""
    error: str | None = None
    busy: bool = False


def local_migrate(layout: Layout, wanted: str, wishes: Wishes) -> TripResult:
    """Move one running domain into a fresh QEMU process, under another name where wished.

    Raises UuidfsError with the guest at home: CannotMove before anything was changed, Busy
    when the lock is held or a session is open.
    """
    began = time.monotonic()
    host = connect(layout.uri)
    try:
        domain = find(host, wanted)
        if domain is None:
            raise UsageError(f"libvirt has no domain {show(wanted)!r}")
        name, uuid = str(domain.name()), str(domain.UUIDString())
        trip: Trip | None = None
        try:
            with Locks(layout, wishes.lock_timeout, owner=True).hold(uuid):
                sessions.guard(layout, uuid)
                preflight(layout, host, domain, wishes.emulator, wishes.new_name)
                if wishes.dry_run:
                    return TripResult(name, uuid)
                directory = directory_of(layout, uuid)
                trip = Trip(
                    layout,
                    host,
                    sessions.begin(
                        layout,
                        uuid,
                        name,
                        pid=os.getpid(),
                        tool="uuidfs local-migrate",
                        new_name=wishes.new_name,
                        directory=directory,
                        socket=PeerDaemon(directory).socket,
                    ),
                    wishes,
                )
                trip.go(domain)
                trip.close()
        finally:
            if trip is not None:
                catch_up(layout, uuid)
        return TripResult(
            wishes.new_name or name, uuid, time.monotonic() - began, tuple(trip.downtimes), "host"
        )
    finally:
        host.close()


def recover(layout: Layout, uuid: str, wishes: Wishes) -> TripResult:
    """Finish what a dead owner began: the guest goes home from where it runs.

    Raises Busy when the owner is alive or somebody else recovers, UuidfsError when it cannot
    be finished yet; then the session stays.
    """
    began = time.monotonic()
    with Locks(layout, wishes.lock_timeout, owner=True).hold(uuid):
        session = _taken_over(layout, uuid)
        host = connect(layout.uri)
        try:
            home = Homecoming(layout, host, session, wishes)
            where = home.come_home()
            home.close()
        finally:
            host.close()
    catch_up(layout, uuid)
    return TripResult(
        session.new_name or session.name,
        uuid,
        time.monotonic() - began,
        tuple(home.downtimes),
        where,
    )


def _taken_over(layout: Layout, uuid: str) -> Session:
    """The session of a dead owner, ours from now on; or one for what an earlier boot left."""
    session = sessions.read(layout, uuid)
    start = sessions.started_at(os.getpid()) or 0
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
        "recovery",
        "",
        "",
        new_name=kept.new_name,
    )


def directory_of(layout: Layout, uuid: str) -> str:
    """The peer daemon's directory."""
    return f"{sessions.place(layout).path}/peer-{uuid}"


def catch_up(layout: Layout, uuid: str) -> None:
    """Convert what changed meanwhile, where the host is converted at all."""
    if os.path.isdir(layout.stores[Kind.CONFIG].path):
        with contextlib.suppress(UuidfsError):  # the reconciler comes back to it
            operate.convert(layout, operate.Options(domains=(uuid,), by=BY))


class Trip(Homecoming):
    """One domain's session from its beginning, with the lock held."""

    def go(self, domain: Any) -> None:
        """Out and home. Raises UuidfsError after an attempt to bring everything home."""
        try:
            self._out(domain)
        except BaseException as error:
            try:
                self.come_home()
                self.close()
            except UuidfsError as second:
                raise UuidfsError(
                    f"{error}; and then: {second}; run: uuidfs local-migrate "
                    f"--recover {self.session.uuid}"
                ) from error
            raise
        try:
            self.come_home()
        except UuidfsError as error:
            raise UuidfsError(
                f"{error}; the guest runs on, and its start elsewhere is refused; "
                f"run: uuidfs local-migrate --recover {self.session.uuid}"
            ) from error

    def _out(self, domain: Any) -> None:
        libvirt = module()
        with doing(f"read the XML of {self.session.name}"):
            flags = libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE
            migratable = domain.XMLDesc(flags)
            live = travel.parse(domain.XMLDesc())
        owner = self._owner()
        self._daemon.make(owner)
        with open(f"{self.session.directory}/home.xml", "w") as file:
            file.write(
                travel.renamed(
                    travel.at_home(migratable, self.wishes.emulator), self.session.peer_name
                )
            )
        kept = asides.look(domain, self.wishes.new_name, self.wishes.emulator)
        asides.keep(self.layout, self.session.uuid, kept)
        hops.make(self.session.uuid, owner)
        self._daemon.start()
        self._peer = connect(self._daemon.uri)
        self._phase(OUT)
        asides.take_out(domain)
        hops.move(
            self.session,
            self.wishes,
            1,
            domain,
            self._daemon.uri,
            self.session.peer_name,
            travel.in_peer(migratable, live, self.wishes.emulator),
            libvirt.VIR_MIGRATE_UNDEFINE_SOURCE if self.wishes.new_name else 0,
        )
        self._note(1)
        self._phase(PEER)

    def _owner(self) -> tuple[int, int]:
        """The user and group of the guest's process."""
        path = f"{self.layout.status.path}/{self.session.name}.pid"
        try:
            with open(path) as file:
                found = os.stat(f"/proc/{int(file.read())}")
        except (OSError, ValueError) as error:
            raise Refused(path, f"cannot tell which user QEMU runs as: {error}") from error
        return found.st_uid, found.st_gid


def errors(call: Callable[[], TripResult], name: str) -> TripResult:
    """One domain of several: what it raises becomes its result."""
    try:
        return call()
    except UuidfsError as error:
        return TripResult(name, "", error=str(error), busy=isinstance(error, Busy))
