"""The trip of a running guest: out to a peer daemon, and home into a fresh QEMU process.

The way home is the same in a recovery after a kill. It looks where the guest runs, by libvirt's
word and not by the session's phase, and goes on from there. There is never a moment with two
running copies, nor one with none: QEMU itself hands over, and what is destroyed here is paused
and the other one runs.
"""

import contextlib
import os
import time
from typing import Any

from uuidfs.apply.applier import Applier
from uuidfs.errors import Refused, UuidfsError
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind, Layout
from uuidfs.localmigration import domain_xml, hop
from uuidfs.localmigration import set_aside as asides
from uuidfs.localmigration.connection import LibvirtRefused, connect, doing, lookup, module
from uuidfs.localmigration.hop import Hop, HopProgress, MigrationOptions
from uuidfs.localmigration.peer_daemon import PeerDaemon
from uuidfs.localmigration.set_aside import SetAside
from uuidfs.plan.steps import Op, Step
from uuidfs.runtime import sessions
from uuidfs.runtime.sessions import BACK, HOME, OUT, PEER, Session

BY = "local-migrate"

POLL = 0.02  # seconds between two looks at a job

SETTLE = 60.0  # seconds for a hop that a dead owner began to come to an end


class Trip:
    """One domain's session, with the lock held: out and home, or only home after a kill."""

    def __init__(
        self, layout: Layout, host: Any, session: Session, options: MigrationOptions
    ) -> None:
        self.layout = layout
        self.host = host
        self.session = session
        self.options = options
        self.downtimes: list[int] = []
        self._daemon = PeerDaemon(session.directory)
        self._peer: Any = None

    def out_and_home(self, domain: Any) -> None:
        """Out and home. Raises UuidfsError after an attempt to bring everything home."""
        try:
            self._out(domain)
        except BaseException as error:
            try:
                self.home()
                self.close()
            except UuidfsError as second:
                raise UuidfsError(
                    f"{error}; and then: {second}; run: uuidfs local-migrate "
                    f"--recover {self.session.uuid}"
                ) from error
            raise
        try:
            self.home()
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
            live = domain_xml.parse(domain.XMLDesc())
        owner = self._owner()
        self._daemon.make(owner)
        with open(f"{self.session.directory}/home.xml", "w") as file:
            file.write(
                domain_xml.renamed(
                    domain_xml.at_home(migratable, self.options.emulator), self.session.peer_name
                )
            )
        kept = asides.look(domain, self.options.new_name, self.options.emulator)
        asides.keep(self.layout, self.session.uuid, kept)
        hop.make(self.session.uuid, owner)
        self._daemon.start()
        self._peer = connect(self._daemon.uri)
        self._phase(OUT)
        asides.take_out(domain)
        way = Hop(
            1,
            domain,
            self._daemon.uri,
            self.session.peer_name,
            domain_xml.in_peer(migratable, live, self.options.emulator),
            libvirt.VIR_MIGRATE_UNDEFINE_SOURCE if self.options.new_name else 0,
        )
        hop.move(self.session, self.options, way)
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

    def home(self) -> str:
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
                if late or error.code not in {
                    libvirt.VIR_ERR_NO_DOMAIN,
                    libvirt.VIR_ERR_OPERATION_INVALID,
                }:
                    raise
                time.sleep(POLL)
            else:
                return host, peer

    def _one_of(self, host: Any, peer: Any) -> tuple[Any | None, Any | None]:
        """Destroy the one that does not run; of two that are paused, the one that never ran."""
        running = module().VIR_DOMAIN_RUNNING
        runs_here, runs_there = (d.state()[0] == running for d in (host, peer))
        if runs_here and runs_there:
            raise UuidfsError(
                f"{self.session.name} runs in two processes, by libvirt's word; "
                "look at both before anything else"
            )
        if runs_there or (not runs_here and self.session.phase in {PEER, BACK}):
            host.destroy()
            return None, peer
        peer.destroy()
        return host, None

    def _active(self, connection: Any | None) -> Any | None:
        if connection is None:
            return None
        domain = lookup(connection, self.session.uuid)
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
        hop.make(self.session.uuid, self._owner_in_peer())
        self._phase(BACK)
        kept = asides.kept(self.layout, self.session.uuid)
        persistent = None
        name = self.session.name
        if self.session.new_name is not None:
            name = self.session.new_name
            self._link_log(name)
            if kept is not None and kept.config is not None:
                persistent = domain_xml.renamed(kept.config, self.session.peer_name)
        try:
            way = Hop(2, peer, self._daemon.host_uri, name, xml, persistent=persistent)
            hop.move(self.session, self.options, way)
            self._note(2)
        except LibvirtRefused as error:
            if error.code == libvirt.VIR_ERR_NO_DOMAIN:
                return  # it ended meanwhile
            self._phase(PEER)
            raise
        self._phase(HOME)

    def _link_log(self, name: str) -> None:
        """The log under the new name before virtlogd opens it: the history goes on in one file."""
        step = Step(
            Op.ADD_LINK, Kind.LOG, self.session.uuid, "", f"{name}.log", f"{self.session.uuid}.log"
        )
        with contextlib.suppress(UuidfsError), TrustedDirs(self.layout) as dirs:
            store, names = dirs.store(Kind.LOG), dirs.names(Kind.LOG)
            if (
                store is not None
                and names is not None
                and store.look(step.store_entry) is not None
                and names.look(step.entry) is None
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
        domain = lookup(self.host, self.session.uuid)
        if domain is None and kept.config is not None:
            domain = self._define(kept)
        if domain is not None:
            asides.put_back(domain, kept)
        asides.drop(self.layout, self.session.uuid)

    def _define(self, kept: SetAside) -> Any:
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
        hop.remove(self.session.uuid)
        sessions.end(self.layout, self.session)

    def _phase(self, phase: str) -> None:
        self.session = sessions.change(self.layout, self.session, phase=phase)

    def _note(self, number: int) -> None:
        """What libvirt says of the hop's downtime, at its destination."""
        libvirt = module()
        domain = lookup(self._peer if number == 1 else self.host, self.session.uuid)
        with contextlib.suppress(libvirt.libvirtError):
            if domain is not None:
                stats = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
                self.downtimes.append(stats.get("downtime", 0))
                if self.options.progress is not None:
                    total = stats.get("data_total", 0)
                    self.options.progress(
                        self.session.name, HopProgress(number, total, 0, total, self.downtimes[-1])
                    )


def _job(domain: Any) -> bool:
    """Whether libvirt is moving it."""
    libvirt = module()
    try:
        return bool(domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE)
    except libvirt.libvirtError:
        return False
