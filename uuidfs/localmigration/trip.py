"""The trip of a running guest: out to a peer daemon, and home into a fresh QEMU process.

The way home is the same in a recovery after a kill. It looks where the guest runs, by libvirt's
word and not by the session's phase, and goes on from there. There is never a moment with two
running copies, nor one with none: QEMU itself hands over, and what is destroyed here is paused
and the other one runs.
"""

import contextlib
import random
import time
from functools import partial
from typing import Any

from uuidfs.errors import Refused, UuidfsError, show
from uuidfs.host import tpm_state
from uuidfs.host.hook_file import status as hook_status
from uuidfs.layout.places import Layout
from uuidfs.localmigration import domain_xml, hop, hop_sockets, interlock, landing
from uuidfs.localmigration import set_aside as asides
from uuidfs.localmigration.connection import doing, lookup, module
from uuidfs.localmigration.devices import tpm
from uuidfs.localmigration.hop import Hop, HopFailed, HopProgress, MigrationOptions
from uuidfs.localmigration.host_daemon import host_daemon
from uuidfs.localmigration.log_link import link_log
from uuidfs.localmigration.ownership import Disks
from uuidfs.localmigration.peer_daemon import PeerDaemon
from uuidfs.localmigration.peer_files import Guest
from uuidfs.localmigration.peer_hook import HOME_XML, LIVE_XML
from uuidfs.localmigration.preflight import look, pid_file
from uuidfs.localmigration.processes import Process, process_of
from uuidfs.localmigration.sides import Sides
from uuidfs.localmigration.watch import unmark
from uuidfs.runtime import sessions
from uuidfs.runtime.sessions import BACK, BEGIN, HOME, OUT, PEER, Session

HOMECOMING = 30.0  # seconds in which the way home is tried again, where others are in the way

SOCKET_TRIES = 2  # of them; then through the daemons, where no socket can be forbidden

OUT_TRIES = 5  # where a snapshot is made in the moment before libvirt's job


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
        self.unconfined = False
        self.name = session.name
        self.kept_name = ""  # why a rename came to nothing
        self._daemon = PeerDaemon(session.directory, host_daemon(layout), session.peer_name)
        self._sides = Sides(host, self._daemon)

    def out_and_home(self, domain: Any) -> str:
        """Out and home; returns as ``home`` does. Raises UuidfsError after an attempt to bring
        everything home: then the guest runs on the host, or the message says where it is."""
        try:
            self._out(domain)
        except BaseException as error:
            try:
                where = self.home()
                self.close()
            except (UuidfsError, OSError) as second:
                raise UuidfsError(
                    f"{error}; and then: {second}; run: uuidfs local-migrate "
                    f"--recover {self.session.uuid}"
                ) from error
            if where == "gone":
                return where
            raise
        try:
            where = self.home()
        except (UuidfsError, OSError) as error:
            raise UuidfsError(
                f"{error}; the guest runs on in the peer, and its start elsewhere is refused; "
                f"run: uuidfs local-migrate --recover {self.session.uuid}"
            ) from error
        self.close()
        return where

    def _out(self, domain: Any) -> None:
        libvirt = module()
        with doing(f"read the XML of {self.session.name}"):
            text = domain.XMLDesc()
            live = domain_xml.parse(text)
        with self._process() as process:
            owner, self.unconfined = process.owner, bool(process.label)
        has_tpm = tpm.emulated(live)
        state = tpm_state.place_of(self.layout, self.session.uuid).path if has_tpm else None
        name, emulator = self.session.peer_name, self.options.emulator
        self._daemon.make(Guest(name, text, emulator, owner, state, look(self.layout, live)))
        kept = asides.look(domain, self.options.new_name, self.options.emulator)
        asides.keep(self.layout, self.session.uuid, kept)
        if has_tpm:
            tpm_state.keep(self.layout, self.session.uuid)
        hop_sockets.make(self.session.uuid, owner)
        self._daemon.start()
        self._sides.connect_peer()
        interlock.check_peer(self._sides.peer, live, self.session.directory)
        if self.options.cancelled.is_set():
            raise UuidfsError(f"{self.session.name} stays where it is: it was interrupted")
        self._phase(OUT)
        # Whoever removes the hook looks for sessions first, and may have looked before this one.
        if not hook_status(self.layout).installed:
            raise UuidfsError(f"{self.session.name} stays where it is: the hook was removed")
        disks = Disks(live, owner)
        disks.remember(self._daemon.directory)
        # The XML and, for a rename, the config are what libvirt takes under its own job.
        way = Hop(
            1,
            domain,
            self._daemon.uri,
            self.session.peer_name,
            None,
            pid_file(self.layout, self.session.name),
            self._daemon.guest_file,
            partial(self._sides.resume, self.session, disks, peer=True),
            self._daemon.go_on,
            self._sides.host_answers,
            libvirt.VIR_MIGRATE_UNDEFINE_SOURCE | libvirt.VIR_MIGRATE_PERSIST_DEST
            if self.options.new_name and kept.config is not None
            else 0,
            guarded=not landing.needed(live, live),
        )
        for tried in range(OUT_TRIES):
            kept = asides.take_out(self.layout, self.session.uuid, domain, kept)
            try:
                autostart = hop.move(self.session, self.options, way)
                break
            except HopFailed as error:
                # Somebody's snapshot came in between: libvirt moves no domain that has one.
                if tried + 1 == OUT_TRIES or not (error.passes or asides.has_metadata(domain)):
                    raise
                asides.put_back(self.layout, domain, kept)  # its parent among them
        if autostart is not None and autostart != kept.autostart:
            asides.keep(self.layout, self.session.uuid, kept._replace(autostart=autostart))
        disks.close()
        self._note(1)
        self._phase(PEER)

    def _process(self) -> Process:
        path = pid_file(self.layout, self.session.name)
        process = process_of(path)
        if process is None:
            raise Refused(path, "the guest's QEMU process cannot be found by this pid file")
        return process

    def home(self) -> str:
        """Bring the guest home from where it is; returns "host", or "gone" where it has ended."""
        began = time.monotonic()
        tried = 0
        while True:
            host, peer = self._sides.settled(self.session)
            if peer is None:
                break
            try:
                self._back(peer, tunnelled=tried >= SOCKET_TRIES)
            except HopFailed:
                tried += 1
                # A start that the hook refuses holds the domain for a moment, as do others.
                if time.monotonic() - began > HOMECOMING:
                    raise
                time.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - no secret, only out of step
        if self.session.phase != BEGIN:
            self._phase(HOME)
        self._put_back()
        return "host" if host is not None else "gone"

    def _back(self, peer: Any, *, tunnelled: bool) -> None:
        libvirt = module()
        with open(f"{self.session.directory}/{HOME_XML}") as file:
            xml = file.read()
        with open(f"{self.session.directory}/{LIVE_XML}") as file:
            before = domain_xml.parse(file.read())
        guest = self._daemon.guest()
        if guest is None:
            return  # it ended meanwhile
        with guest:
            disks = Disks(domain_xml.parse(xml), guest.owner)
            hop_sockets.make(self.session.uuid, guest.owner)
        self._back_phase()
        flags, persistent = 0, None
        name, is_defined = self._free_name(self.session.new_name or self.session.name)
        self.name = name
        if self.session.new_name is not None:
            if name == self.session.new_name:
                link_log(self.layout, self.session.uuid, name)
            kept = asides.kept(self.layout, self.session.uuid)
            with doing("look at the peer's config"):
                if is_defined:
                    pass  # somebody's config is newer
                elif peer.isPersistent():
                    flags = libvirt.VIR_MIGRATE_PERSIST_DEST
                elif kept is not None and kept.config is not None:
                    persistent = domain_xml.renamed(kept.config, self.session.peer_name)
        way = Hop(
            2,
            peer,
            self._daemon.host_uri,
            name,
            domain_xml.with_token(
                domain_xml.renamed(xml, self.session.peer_name), self.session.token
            ),
            self._daemon.guest_file,
            pid_file(self.layout, name),
            partial(self._sides.resume, self.session, disks, peer=False),
            self._daemon.go_on,
            self._sides.host_answers,
            flags,
            persistent,
            tunnelled,
            not landing.needed(domain_xml.parse(xml), before),
        )
        try:
            hop.move(self.session, self.options, way)
        except HopFailed as error:
            if error.code == libvirt.VIR_ERR_NO_DOMAIN:
                return  # it ended meanwhile
            self._phase(PEER)
            raise
        self._note(2)
        self._phase(HOME)

    def _back_phase(self) -> None:
        """``back``, with a token of this attempt: XML that somebody dumped in an earlier one, of
        a guest that did not come home then, starts nothing."""
        self.session = sessions.change(
            self.layout, self.session, phase=BACK, token=sessions.new_token()
        )

    def _free_name(self, wanted: str) -> tuple[str, bool]:
        """The name that it can have at home, and whether it is defined there.

        That is the wanted one; or the old one, where another domain has taken the wanted one
        meanwhile; or what somebody has named this domain meanwhile: libvirt gives a UUID one name.
        """
        with contextlib.suppress(module().libvirtError):
            ours = lookup(self.host, self.session.uuid)
            if ours is not None:
                if ours.name() != wanted:
                    self.kept_name = f"it was defined as {show(ours.name())!r} again meanwhile"
                return str(ours.name()), True
            there = lookup(self.host, wanted)
            if there is not None:
                self.kept_name = f"another domain took the name {show(wanted)!r} meanwhile"
                return self.session.name, False
        return wanted, False

    def _put_back(self) -> None:
        """Snapshots, checkpoints, autostart: as before; and nothing is left of the way home."""
        domain = lookup(self.host, self.session.uuid)
        if domain is not None:
            interlock.forget_token(domain)
            unmark(pid_file(self.layout, str(domain.name())), self.session.oom_score_adj)
        kept = asides.kept(self.layout, self.session.uuid)
        if kept is not None:
            if domain is None and kept.new_name is not None and kept.config is not None:
                # The rename took the definition away, and the guest ended on the way.
                with doing(f"define {kept.name} again"):
                    domain = self.host.defineXML(kept.config)
            if domain is not None:
                asides.put_back(self.layout, domain, kept)
        runs, defined = self._sides.at_home(self.session), domain is not None
        tpm_state.settle(self.layout, self.session.uuid, runs=runs, defined=defined)
        asides.drop(self.layout, self.session.uuid)

    def close(self) -> None:
        """End the peer daemon, remove what belongs to the session, and the session last.

        Raises UuidfsError; then the session stays.
        """
        self._sides.leave_peer()
        if self.session.directory:
            self._daemon.stop(partial(self._sides.at_home, self.session))
        hop_sockets.remove(self.session.uuid)
        sessions.end(self.layout, self.session)

    def _phase(self, phase: str) -> None:
        self.session = sessions.change(self.layout, self.session, phase=phase)

    def _note(self, number: int) -> None:
        """What libvirt says of the hop's downtime, at its destination."""
        libvirt = module()
        domain = lookup(self._sides.peer if number == 1 else self.host, self.session.uuid)
        with contextlib.suppress(libvirt.libvirtError):
            if domain is not None:
                stats = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
                self.downtimes.append(stats.get("downtime", 0))
                if self.options.progress is not None:
                    total = stats.get("data_total", 0)
                    self.options.progress(
                        self.session.name, HopProgress(number, total, 0, total, self.downtimes[-1])
                    )
