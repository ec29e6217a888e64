"""One hop: a live migration between the two daemons of this host, over a unix socket."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from uuidfs.files import change
from uuidfs.files.directory import existing
from uuidfs.layout.places import Place
from uuidfs.localmigration.connection import LibvirtRefused, module
from uuidfs.runtime.sessions import Session

HOPS = "/run/uuidfs-hops"  # apart from /run/uuidfs, where QEMU's user has no access

POLL = 0.1  # seconds between two looks at a hop's progress

# QEMU pauses the guest as soon as it expects to be done within so many ms. Its own 300 are a
# pause that people notice, and on one host most guests need less; a guest that writes to its
# memory faster than that allows gets twice as much each time, until it has what it had before.
DOWNTIMES = (40, 80, 160)

QEMU_DOWNTIME = 300

RAISED = 5.0  # seconds between two of them


class HopProgress(NamedTuple):
    """How far a hop is. Sizes in bytes, ``downtime`` in ms once it is over."""

    number: int
    transferred: int = 0
    remaining: int = 0
    total: int = 0
    downtime: int | None = None


class MigrationOptions(NamedTuple):
    """``timeout`` in seconds a hop, 0 for none; ``bandwidth`` in MiB/s, 0 for no limit."""

    emulator: str | None = None
    new_name: str | None = None
    timeout: float = 0.0
    bandwidth: int = 0
    lock_timeout: float = 10.0
    dry_run: bool = False
    progress: Callable[[str, HopProgress], None] | None = None


def make(uuid: str, owner: tuple[int, int]) -> None:
    """Make the directory for the hops' sockets, which QEMU's user has to write to."""
    path = f"{HOPS}/{uuid}"
    change.remove_tree(path)
    change.make_path(HOPS, 0o711)
    change.make_path(path, 0o700)
    os.chown(path, *owner)


def remove(uuid: str) -> None:
    """Remove it, and the directory above unless others hop."""
    change.remove_tree(f"{HOPS}/{uuid}")
    with existing(Place("/run")) as run:
        change.remove_directory(run, os.path.basename(HOPS))


class Hop(NamedTuple):
    """One migration: ``domain`` goes to the daemon at ``uri``, as ``name`` and as ``xml`` says.

    ``number`` is 1 for the way out and 2 for the way home. ``persistent`` is the config that it
    gets there, None to leave it transient or with the one that it has.
    """

    number: int
    domain: Any
    uri: str
    name: str
    xml: str
    flags: int = 0
    persistent: str | None = None


def move(session: Session, options: MigrationOptions, hop: Hop) -> None:
    """Make a hop. Raises LibvirtRefused; then the guest runs where it ran."""
    libvirt = module()
    socket = f"{HOPS}/{session.uuid}/hop{hop.number}-{time.monotonic_ns()}"
    parameters: dict[str, Any] = {
        libvirt.VIR_MIGRATE_PARAM_URI: f"unix:{socket}",
        libvirt.VIR_MIGRATE_PARAM_DEST_NAME: hop.name,
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: hop.xml,
    }
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
    domain = hop.domain
    failed: list[Any] = []

    def work() -> None:
        try:
            domain.migrateToURI3(hop.uri, parameters, flags)
        except libvirt.libvirtError as error:
            failed.append(error)

    usual = _allowed(domain)
    downtimes = [*(limit for limit in DOWNTIMES if limit < usual), usual]
    _allow(domain, downtimes.pop(0))
    raised = 0.0
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    began = time.monotonic()
    while thread.is_alive():
        thread.join(POLL)
        if thread.is_alive() and options.progress is not None:
            _show(session.name, options.progress, domain, hop.number)
        if downtimes and time.monotonic() - began > raised + RAISED:
            _allow(domain, downtimes.pop(0))
            raised += RAISED
        if options.timeout and time.monotonic() - began > options.timeout:
            with contextlib.suppress(libvirt.libvirtError):
                domain.abortJob()
    if failed:
        _allow(domain, usual)
        raise LibvirtRefused(f"move {session.name} (hop {hop.number})", failed[0])


def _allowed(domain: Any) -> int:
    with contextlib.suppress(module().libvirtError):
        return int(domain.migrateGetMaxDowntime())
    return QEMU_DOWNTIME


def _allow(domain: Any, downtime: int) -> None:
    """How long, in ms, the guest may pause; a guest that is gone or a QEMU that cannot is fine."""
    with contextlib.suppress(module().libvirtError):
        domain.migrateSetMaxDowntime(downtime)


def _show(
    name: str, progress: Callable[[str, HopProgress], None], domain: Any, number: int
) -> None:
    libvirt = module()
    with contextlib.suppress(libvirt.libvirtError):
        stats = domain.jobStats()
        if "data_total" in stats:
            progress(
                name,
                HopProgress(
                    number, stats["data_processed"], stats["data_remaining"], stats["data_total"]
                ),
            )
