"""The two sides of a trip, and where the guest is: by libvirt's word, not by the phase."""

import contextlib
import errno
import time
from typing import Any

from uuidfs.errors import UuidfsError
from uuidfs.localmigration import ownership
from uuidfs.localmigration.connection import (
    LibvirtRefused,
    NoAnswer,
    bounded,
    connect,
    doing,
    lookup,
    module,
)
from uuidfs.localmigration.ownership import Disks
from uuidfs.localmigration.peer_daemon import PeerDaemon, PeerFailed
from uuidfs.runtime.sessions import BACK, BEGIN, PEER, Session

POLL = 0.02  # seconds between two looks at a job

SETTLE = 60.0  # seconds in which nothing moves, for a hop that a dead owner began

ABORT = 5.0  # seconds for one question or order to QEMU


class Sides:
    """The host's daemon and the peer's, for one guest. ``peer`` is None while not connected."""

    def __init__(self, host: Any, daemon: PeerDaemon) -> None:
        self.host = host
        self.peer: Any = None
        self._daemon = daemon

    def connect_peer(self) -> None:
        """Connect to the peer, which runs. Raises LibvirtRefused, NoAnswer or PeerFailed."""
        try:
            self.peer = connect(self._daemon.uri)
        except LibvirtRefused as error:
            # It listens before it has read qemu.conf, and may end over that.
            if self._daemon.has_ended():
                raise PeerFailed(self._daemon.said()) from error
            raise

    def leave_peer(self) -> None:
        """Close the connection."""
        if self.peer is not None:
            with contextlib.suppress(module().libvirtError):
                self.peer.close()
            self.peer = None

    def host_answers(self) -> bool:
        """Whether the host's daemon does, by its connection's keepalive."""
        with contextlib.suppress(module().libvirtError):
            return bool(self.host.isAlive())
        return False

    def at_home(self, session: Session) -> bool:
        """Whether the guest is on the host now. Raises UuidfsError where that cannot be told."""
        return self._active(session, self.host) is not None

    def resume(self, session: Session, disks: Disks, *, peer: bool) -> bool:
        """Let the guest run on one side, whose process alone is left of the two.

        False while libvirt still moves it: then it is paused for another reason, and a call
        would wait, for a job that may never end. False also where the source's daemon has just
        taken the disks back, which are given again, or has not removed its macvtap yet. What
        fails here, ``settled`` does later.
        """
        libvirt = module()
        try:
            domain = lookup(self.peer if peer else self.host, session.uuid)
            if domain is None:
                return True
            state, reason = domain.state()
            if state == libvirt.VIR_DOMAIN_PAUSED and reason != libvirt.VIR_DOMAIN_PAUSED_USER:
                return False
            if state == libvirt.VIR_DOMAIN_PAUSED:
                bounded(f"resume {session.name}", domain.resume)
        except libvirt.libvirtError as error:
            if "Permission denied" in str(error):
                disks.give_back()
                return False
            if _in_use(error):
                return False
        except (UuidfsError, OSError):
            pass
        return True

    def settled(self, session: Session) -> tuple[Any | None, Any | None]:
        """The active domains on either side, once no hop is under way; at most one of them.

        Of two the one that does not run is destroyed, and one that is paused goes on. Raises
        UuidfsError where both run, or a side does not answer.
        """
        libvirt = module()
        under_way = _UnderWay(session.name)
        deadline = time.monotonic() + SETTLE
        while True:
            host = self._active(session, self.host)
            peer = self._active(session, self._connected(session))
            if host is None and peer is None:
                host = self._active(session, self.host)  # it may have come home between the looks
            if under_way.wait([domain for domain in (host, peer) if domain is not None]):
                deadline = time.monotonic() + SETTLE
                continue
            try:
                with doing(f"settle where {session.name} runs"):
                    if host is not None and peer is not None:
                        if not (host.isActive() and peer.isActive()):
                            continue  # a hop came to its end while we looked from one to the other
                        host, peer = _one_of(session, host, peer)
                    for domain in (host, peer):
                        if domain is not None and domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                            _let_run(session, domain, self._daemon if domain is peer else None)
            except LibvirtRefused as error:
                # It went while we looked: a hop, or the guest itself, has come to its end. Or the
                # old process has, and its daemon is about to remove its macvtap.
                gone = error.code in {
                    libvirt.VIR_ERR_NO_DOMAIN,
                    libvirt.VIR_ERR_OPERATION_INVALID,
                }
                if time.monotonic() >= deadline or not (gone or _in_use(error.__cause__)):
                    raise
                time.sleep(POLL)
            else:
                return host, peer

    def _active(self, session: Session, connection: Any | None) -> Any | None:
        if connection is None:
            return None
        try:
            domain = lookup(connection, session.uuid)
            with doing("look where the guest is"):
                return domain if domain is not None and domain.isActive() else None
        except LibvirtRefused as error:
            if error.code == module().VIR_ERR_NO_DOMAIN:
                return None  # it went while we looked: a hop is over
            raise

    def _connected(self, session: Session, *, again: bool = False) -> Any | None:
        """The peer's connection, None when no guest can be in it.

        The daemon is started again where it died and has left a QEMU process; in the phase
        ``begin`` nothing has ever gone there. One that hangs is ended and started again.
        """
        if not session.directory or session.phase == BEGIN:
            return None
        self._daemon.go_on()
        if self.peer is not None and self._daemon.runs() and self.peer.isAlive():
            return self.peer
        self.leave_peer()
        if not self._daemon.runs() and self._daemon.is_empty():
            return None
        try:
            self._daemon.start()
            self.connect_peer()
        except NoAnswer:
            # While a hop is under way this would end it in a way that nobody can foresee; the
            # host's daemon gives it up by itself, within libvirt's keepalive of 30 s.
            host = self._active(session, self.host)
            if host is not None and _job(host):
                return None
            if again:
                raise
            self._daemon.end()
            return self._connected(session, again=True)
        return self.peer


def _in_use(error: Any) -> bool:
    """Whether a macvtap cannot be up since the other one still is: its address is in use."""
    system = error.get_error_code() == module().VIR_ERR_SYSTEM_ERROR
    return bool(system and error.get_int1() in {errno.EADDRINUSE, errno.EBUSY})


def _one_of(session: Session, host: Any, peer: Any) -> tuple[Any | None, Any | None]:
    """Destroy the one that does not run; of two that are paused, the one that never ran."""
    running = module().VIR_DOMAIN_RUNNING
    runs_here, runs_there = (d.state()[0] == running for d in (host, peer))
    if runs_here and runs_there:
        raise UuidfsError(
            f"{session.name} runs in two processes, by libvirt's word; "
            "look at both before anything else"
        )
    if runs_there or (not runs_here and session.phase in {PEER, BACK}):
        host.destroy()
        return None, peer
    peer.destroy()
    return host, None


def _let_run(session: Session, domain: Any, peer: PeerDaemon | None) -> None:
    """Resume it. In the ``peer`` it may have lost its disks, with the helper that would have given
    them back. It does not go home before it has them: see ownership."""
    action = f"resume {session.name}"
    try:
        with doing(action):
            bounded(action, domain.resume)
    except LibvirtRefused as error:
        if peer is None or "Permission denied" not in str(error):
            raise
        ownership.give_back_remembered(peer.directory)
        with doing(action):
            bounded(action, domain.resume)


class _UnderWay:
    """Waits for a hop that somebody else began; nothing is destroyed while there is one.

    One in which nothing moves for SETTLE seconds is aborted, and if it does not end then, that
    is an error: what hangs may still hand over.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: object = None
        self._since = time.monotonic()
        self._aborted = False

    def wait(self, domains: list[Any]) -> bool:
        """Wait a moment; False when no hop is under way. Raises NoAnswer."""
        jobs = [_job(domain) for domain in domains]
        if not any(jobs):
            return False
        now = time.monotonic()
        if jobs != self._seen:
            self._seen, self._since = jobs, now
        elif now - self._since > SETTLE:
            if self._aborted:
                raise NoAnswer(f"wait for the hop of {self._name} that is under way", SETTLE)
            self._aborted, self._since = True, now
            for domain in domains:
                with contextlib.suppress(module().libvirtError, NoAnswer):
                    bounded("abort the hop", domain.abortJob, ABORT)
        time.sleep(POLL)
        return True


def _job(domain: Any) -> tuple[int, ...]:
    """What libvirt is moving it with, and how far that is; empty when it is not moved."""
    libvirt = module()
    try:
        info = bounded("look for a hop", domain.jobInfo, ABORT)
    except libvirt.libvirtError:
        return ()
    except NoAnswer:
        return (-1,)  # its QEMU process hangs, in whatever it does
    if info[0] == libvirt.VIR_DOMAIN_JOB_NONE:
        return ()
    return tuple(info[4:9])  # bytes in all, done and left, of all data; without the time
