"""One hop: a live migration between the two daemons of this host, over a unix socket."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from uuidfs.errors import UuidfsError
from uuidfs.localmigration import hop_sockets
from uuidfs.localmigration.connection import NoAnswer, bounded, module
from uuidfs.localmigration.landing import Landing
from uuidfs.localmigration.watch import POLL, Watch, unmark
from uuidfs.runtime.sessions import Session

# QEMU pauses the guest as soon as it expects to be done within so many ms. Its own 300 are a
# pause that people notice, and on one host most guests need less; a guest that writes to its
# memory faster than that allows gets twice as much each time, until it has what it had before.
DOWNTIMES = (40, 80, 160)

QEMU_DOWNTIME = 300

RAISED = 5.0  # seconds between two of them

ASKED = 5.0  # seconds for QEMU to answer a question that may stay unanswered


class HopProgress(NamedTuple):
    """How far a hop is. Sizes in bytes, ``downtime`` in ms once it is over."""

    number: int
    transferred: int = 0
    remaining: int = 0
    total: int = 0
    downtime: int | None = None

    @property
    def way(self) -> str:
        """``out`` or ``home``."""
        return "out" if self.number == 1 else "home"


class MigrationOptions(NamedTuple):
    """``timeout`` in seconds for the way out, 0 for none; ``bandwidth`` in MiB/s, 0 for no limit.

    ``cancelled``: set by somebody who wants the guest to stay, or to go home at once.
    """

    emulator: str | None = None
    new_name: str | None = None
    timeout: float = 0.0
    bandwidth: int = 0
    lock_timeout: float = 10.0
    dry_run: bool = False
    progress: Callable[[str, HopProgress], None] | None = None
    cancelled: threading.Event = threading.Event()  # nobody sets this one


class HopFailed(UuidfsError):
    """A hop came to nothing; the guest is where it was. ``code`` is libvirt's VIR_ERR number."""

    def __init__(self, name: str, number: int, why: str, code: int | None) -> None:
        super().__init__(f"cannot move {name} (hop {number}): {why}")
        self.number = number
        self.why = why
        self.code = code

    @property
    def passes(self) -> bool:
        """Whether it may go well the next time.

        libvirt starts QEMU once swtpm's socket has its name, which may be before swtpm listens
        there (9.0 to 12.8, swtpm 0.7: bind, chmod, listen).
        """
        return "swtpm.sock': Connection refused" in self.why


class Hop(NamedTuple):
    """One migration: ``domain`` goes to the daemon at ``uri``, as ``name``.

    ``number`` is 1 for the way out and 2 for the way home. ``xml`` is what it becomes; None
    where the destination's hook changes what libvirt sends. ``outgoing`` and ``incoming`` are
    the pid files of the two processes; ``resume`` lets the guest run at the destination, and
    ``go_on`` a peer that was stopped. ``answers`` tells whether the host's daemon still does.
    ``tunnelled``: through the daemons, which is slower, and needs no socket. ``guarded``: locks
    of QEMU's keep a second process from running (image_locks); else the guest arrives paused.
    """

    number: int
    domain: Any
    uri: str
    name: str
    xml: str | None
    outgoing: str
    incoming: str
    resume: Callable[[], bool]
    go_on: Callable[[], None]
    answers: Callable[[], bool]
    flags: int = 0
    persistent: str | None = None
    tunnelled: bool = False
    guarded: bool = True


def move(session: Session, options: MigrationOptions, hop: Hop) -> bool | None:
    """Make a hop; returns whether the source had autostart, None where libvirt did not say.

    Raises HopFailed, then the guest runs where it ran; or NoAnswer when the hop was given up and
    has not ended: then nobody knows.
    """
    libvirt = module()
    parameters, flags = _parameters(session, options, hop)
    domain = hop.domain
    failed: list[Any] = []

    def work() -> None:
        try:
            domain.migrateToURI3(hop.uri, parameters, flags)
        except BaseException as error:  # also what libvirt-python says of a number too large
            failed.append(error)

    usual = _allowed(domain)
    downtimes = [*(limit for limit in DOWNTIMES if limit < usual), usual]
    _allow(domain, downtimes.pop(0))
    raised = 0.0
    # Going home is not given up by anybody's wish: the guest would stay in the peer.
    timeout, cancelled = options.timeout, options.cancelled
    if hop.number != 1:
        timeout, cancelled = 0.0, threading.Event()
    watch = Watch(domain, hop.incoming, hop.go_on, timeout, cancelled, hop.answers)
    thread = threading.Thread(target=work, daemon=True)
    landing = None if hop.guarded else Landing(hop.outgoing, hop.resume)
    thread.start()
    began = time.monotonic()
    try:
        while thread.is_alive():
            thread.join(POLL)
            if thread.is_alive() and not watch.look():
                action = f"move {session.name} (hop {hop.number}): {watch.given_up}, and it goes on"
                raise NoAnswer(action, time.monotonic() - began)
            if options.progress is not None:
                _show(session.name, options.progress, watch.stats, hop.number)
            if downtimes and time.monotonic() - began > raised + RAISED:
                _allow(domain, downtimes.pop(0))
                raised += RAISED
    finally:
        watch.end()
        if landing is not None:
            landing.end(moved=not failed and not thread.is_alive())
    if failed:
        _allow(domain, usual)
        why = " ".join(str(failed[0]).split())
        if watch.given_up:
            why = f"{watch.given_up}; {why}"
        theirs = isinstance(failed[0], libvirt.libvirtError)
        code = failed[0].get_error_code() if theirs else None
        raise HopFailed(session.name, hop.number, why, code)
    unmark(hop.incoming, session.oom_score_adj)
    return watch.autostart


def _parameters(
    session: Session, options: MigrationOptions, hop: Hop
) -> tuple[dict[str, Any], int]:
    libvirt = module()
    parameters: dict[str, Any] = {libvirt.VIR_MIGRATE_PARAM_DEST_NAME: hop.name}
    if hop.xml is not None:
        parameters[libvirt.VIR_MIGRATE_PARAM_DEST_XML] = hop.xml
    if options.bandwidth:
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = options.bandwidth
    flags = hop.flags
    if hop.persistent is not None:
        parameters[libvirt.VIR_MIGRATE_PARAM_PERSIST_XML] = hop.persistent
        flags |= libvirt.VIR_MIGRATE_PERSIST_DEST
    # Peer to peer: the daemons do it, so it goes on when this process dies. Unsafe: caches are
    # safe where source and destination are one kernel.
    flags |= (
        libvirt.VIR_MIGRATE_LIVE
        | libvirt.VIR_MIGRATE_PEER2PEER
        | libvirt.VIR_MIGRATE_UNSAFE
        | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    )
    if not hop.guarded:
        flags |= libvirt.VIR_MIGRATE_PAUSED
    socket = hop_sockets.path_of(session.uuid, hop.number, hop.name)
    if hop.tunnelled or socket is None:
        return parameters, flags | libvirt.VIR_MIGRATE_TUNNELLED
    parameters[libvirt.VIR_MIGRATE_PARAM_URI] = f"unix:{quote(socket)}"
    return parameters, flags


def _allowed(domain: Any) -> int:
    with contextlib.suppress(module().libvirtError, NoAnswer):
        found = bounded("ask for the downtime", domain.migrateGetMaxDowntime, ASKED)
        if found is not None:  # libvirt-python raises nothing where the guest has ended
            return int(found)
    return QEMU_DOWNTIME


def _allow(domain: Any, downtime: int) -> None:
    """How long, in ms, the guest may pause; a guest that is gone or a QEMU that cannot is fine."""
    with contextlib.suppress(module().libvirtError, NoAnswer):
        bounded("allow a downtime", lambda: domain.migrateSetMaxDowntime(downtime), ASKED)


def _show(
    name: str, progress: Callable[[str, HopProgress], None], stats: dict[str, Any], number: int
) -> None:
    if "data_total" in stats:
        progress(
            name,
            HopProgress(
                number, stats["data_processed"], stats["data_remaining"], stats["data_total"]
            ),
        )
