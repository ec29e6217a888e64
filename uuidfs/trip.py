"""The trip of a running guest: out to a peer daemon, and home into a fresh QEMU process.

Going home is the same whether it is the second half of a trip or a recovery after a kill: it
looks where the guest runs, by libvirt's word and not by the session's phase, and goes on from
there. There is never a moment with two running copies, nor one with none: QEMU itself hands
over, and what is destroyed here is paused and the other one runs.
"""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from uuidfs import aside as asides
from uuidfs import fs, hops, operate, sessions, travel
from uuidfs.apply import Applier
from uuidfs.aside import Aside
from uuidfs.dirs import Dirs
from uuidfs.errors import Busy, Refused, UsageError, UuidfsError, show
from uuidfs.hops import Hop, Wishes
from uuidfs.layout import Kind, Layout
from uuidfs.locks import Locks
from uuidfs.peerdaemon import PeerDaemon
from uuidfs.preflight import preflight
from uuidfs.sessions import BACK, HOME, OUT, PEER, Session
from uuidfs.steps import Op, Step
from uuidfs.virt import LibvirtRefused, connect, doing, find, module

POLL = 0.02  # seconds between two looks at a job
BY = "local-migrate"
SETTLE = 60.0  # seconds for a hop that a dead owner began to come to an end


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
                trip = Trip(layout, host, sessions.begin(
                    layout, uuid, name, pid=os.getpid(), tool="uuidfs local-migrate",
                    new_name=wishes.new_name, directory=directory,
                    socket=PeerDaemon(directory).socket,
                ), wishes)
                trip.go(domain)
                trip.close()
        finally:
            if trip is not None:
                catch_up(layout, uuid)
        return TripResult(wishes.new_name or name, uuid, time.monotonic() - began,
                          tuple(trip.downtimes), "host")
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
            trip = Trip(layout, host, session, wishes)
            where = trip.come_home()
            trip.close()
        finally:
            host.close()
    catch_up(layout, uuid)
    return TripResult(session.new_name or session.name, uuid, time.monotonic() - began,
                      tuple(trip.downtimes), where)


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
    return Session(uuid, kept.name, HOME, os.getpid(), start, time.time(), "recovery", "", "",
                   new_name=kept.new_name)


def directory_of(layout: Layout, uuid: str) -> str:
    """The peer daemon's directory."""
    return f"{sessions.place(layout).path}/peer-{uuid}"


def catch_up(layout: Layout, uuid: str) -> None:
    """Convert what changed meanwhile, where the host is converted at all."""
    if os.path.isdir(layout.stores[Kind.CONFIG].path):
        with contextlib.suppress(UuidfsError):  # the reconciler comes back to it
            operate.convert(layout, operate.Options(domains=(uuid,), by=BY))


class Trip:
    """One domain's session, with the lock held."""

    def __init__(self, layout: Layout, host: Any, session: Session, wishes: Wishes) -> None:
        self.layout = layout
        self.host = host
        self.session = session
        self.wishes = wishes
        self.downtimes: list[int] = []
        self._daemon = PeerDaemon(session.directory)
        self._peer: Any = None

    def go(self, domain: Any) -> None:
        """Out and home. Raises UuidfsError after an attempt to bring everything home."""
        try:
            self._out(domain)
        except BaseException as error:
            try:
                self.come_home()
                self.close()
            except UuidfsError as second:
                raise UuidfsError(f"{error}; and then: {second}; run: uuidfs local-migrate "
                                  f"--recover {self.session.uuid}") from error
            raise
        try:
            self.come_home()
        except UuidfsError as error:
            raise UuidfsError(f"{error}; the guest runs on, and its start elsewhere is refused; "
                              f"run: uuidfs local-migrate --recover {self.session.uuid}") from error

    def _phase(self, phase: str) -> None:
        self.session = sessions.change(self.layout, self.session, phase=phase)

    def _out(self, domain: Any) -> None:
        libvirt = module()
        with doing(f"read the XML of {self.session.name}"):
            flags = libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE
            migratable = domain.XMLDesc(flags)
            live = travel.parse(domain.XMLDesc())
        owner = self._owner()
        self._daemon.make(owner)
        with open(f"{self.session.directory}/home.xml", "w") as file:
            file.write(travel.renamed(travel.at_home(migratable, self.wishes.emulator),
                                      self.session.peer_name))
        kept = asides.look(domain, self.wishes.new_name, self.wishes.emulator)
        asides.keep(self.layout, self.session.uuid, kept)
        hops.make(self.session.uuid, owner)
        self._daemon.start()
        self._peer = connect(self._daemon.uri)
        self._phase(OUT)
        asides.take_out(domain)
        hops.move(
            self.session, self.wishes, 1, domain, self._daemon.uri, self.session.peer_name,
            travel.in_peer(migratable, live, self.wishes.emulator),
            libvirt.VIR_MIGRATE_UNDEFINE_SOURCE if self.wishes.new_name else 0)
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

    def _note(self, number: int) -> None:
        """What libvirt says of the hop's downtime, at its destination."""
        libvirt = module()
        domain = find(self._peer if number == 1 else self.host, self.session.uuid)
        with contextlib.suppress(libvirt.libvirtError):
            if domain is not None:
                stats = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
                self.downtimes.append(stats.get("downtime", 0))
                if self.wishes.progress is not None:
                    total = stats.get("data_total", 0)
                    self.wishes.progress(self.session.name, Hop(
                        number, total, 0, total, self.downtimes[-1]))

    # -- home -----------------------------------------------------------------------------------

    def come_home(self) -> str:
        """Bring the guest home from where it is; returns "host", or "gone" where it has ended."""
        where = "gone"
        for _ in range(5):
            host, peer = self._settled()
            if peer is None:
                where = "host" if host is not None else "gone"
                break
            self._back(peer)
        self._put_back()
        return where

    def _settled(self) -> tuple[Any | None, Any | None]:
        """The active domains on either side, once no hop is under way; at most one of them."""
        libvirt = module()
        deadline = time.monotonic() + SETTLE
        while True:
            host, peer = self._active(self.host), self._active(self._connected())
            late = time.monotonic() >= deadline
            if not late and any(_job(d) for d in (host, peer) if d is not None):
                time.sleep(POLL)
                continue
            try:
                with doing(f"settle where {self.session.name} runs"):
                    if host is not None and peer is not None:
                        host, peer = self._one_of(host, peer)
                    for domain in (host, peer):
                        if domain is not None and domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                            domain.resume()
            except LibvirtRefused as error:
                # It went while we looked: a hop, or the guest itself, has come to its end.
                if late or error.code not in {libvirt.VIR_ERR_NO_DOMAIN,
                                              libvirt.VIR_ERR_OPERATION_INVALID}:
                    raise
                time.sleep(POLL)
            else:
                return host, peer

    def _one_of(self, host: Any, peer: Any) -> tuple[Any | None, Any | None]:
        """Destroy the one that does not run; of two that are paused, the one that never ran."""
        running = module().VIR_DOMAIN_RUNNING
        runs_here, runs_there = (d.state()[0] == running for d in (host, peer))
        if runs_here and runs_there:
            raise UuidfsError(f"{self.session.name} runs in two processes, by libvirt's word; "
                              "look at both before anything else")
        if runs_there or (not runs_here and self.session.phase in {PEER, BACK}):
            host.destroy()
            return None, peer
        peer.destroy()
        return host, None

    def _active(self, connection: Any | None) -> Any | None:
        if connection is None:
            return None
        domain = find(connection, self.session.uuid)
        try:
            with doing("look where the guest is"):
                return domain if domain is not None and domain.isActive() else None
        except LibvirtRefused as error:
            if error.code == module().VIR_ERR_NO_DOMAIN:
                return None  # it went while we looked: a hop is over
            raise

    def _connected(self) -> Any | None:
        """The peer's connection; the daemon is started again where it died."""
        if not self.session.directory or not self._daemon.was_started():
            return None
        if self._peer is not None and self._daemon.pid is not None and self._peer.isAlive():
            return self._peer
        self._daemon.start()
        self._peer = connect(self._daemon.uri)
        return self._peer

    def _back(self, peer: Any) -> None:
        libvirt = module()
        with open(f"{self.session.directory}/home.xml") as file:
            xml = file.read()
        hops.make(self.session.uuid, self._owner_in_peer())
        self._phase(BACK)
        kept = asides.kept(self.layout, self.session.uuid)
        persistent = None
        name = self.session.name
        if self.session.new_name is not None:
            name = self.session.new_name
            self._link_log(name)
            if kept is not None and kept.config is not None:
                persistent = travel.renamed(kept.config, self.session.peer_name)
        try:
            hops.move(self.session, self.wishes, 2, peer, self._daemon.host_uri, name, xml,
                      persistent=persistent)
            self._note(2)
        except LibvirtRefused as error:
            if error.code == libvirt.VIR_ERR_NO_DOMAIN:
                return  # it ended meanwhile
            self._phase(PEER)
            raise
        self._phase(HOME)

    def _link_log(self, name: str) -> None:
        """The log under the new name before virtlogd opens it: the history goes on in one file."""
        step = Step(Op.ADD_LINK, Kind.LOG, self.session.uuid, "", f"{name}.log",
                    f"{self.session.uuid}.log")
        with contextlib.suppress(UuidfsError), Dirs(self.layout) as dirs:
            store, names = dirs.store(Kind.LOG), dirs.names(Kind.LOG)
            if store is not None and names is not None and (
                fs.look(store, step.store_entry) is not None
                and fs.look(names, step.entry) is None
            ):
                with Applier(dirs, BY) as applier:
                    applier.run(step)

    def _owner_in_peer(self) -> tuple[int, int]:
        found = os.stat(f"{self.session.directory}/lib")
        return found.st_uid, found.st_gid

    def _put_back(self) -> None:
        """Snapshots, checkpoints, autostart: as before."""
        kept = asides.kept(self.layout, self.session.uuid)
        if kept is None:
            return
        domain = find(self.host, self.session.uuid)
        if domain is None and kept.config is not None:
            domain = self._define(kept)
        if domain is not None:
            asides.put_back(domain, kept)
        asides.drop(self.layout, self.session.uuid)

    def _define(self, kept: Aside) -> Any:
        """A rename took the definition away, and the guest ended on the way."""
        with doing(f"define {kept.name} again"):
            return self.host.defineXML(kept.config)

    def close(self) -> None:
        """End the peer daemon, remove what belongs to the session, and the session last."""
        if self._peer is not None:
            with contextlib.suppress(module().libvirtError):
                self._peer.close()
            self._peer = None
        if self.session.directory:
            self._daemon.stop()
        hops.remove(self.session.uuid)
        sessions.end(self.layout, self.session)


def _job(domain: Any) -> bool:
    """Whether libvirt is moving it."""
    libvirt = module()
    try:
        return bool(domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE)
    except libvirt.libvirtError:
        return False


def errors(call: Callable[[], TripResult], name: str) -> TripResult:
    """One domain of several: what it raises becomes its result."""
    try:
        return call()
    except UuidfsError as error:
        return TripResult(name, "", error=str(error), busy=isinstance(error, Busy))
