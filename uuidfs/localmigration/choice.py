"""Which guests an operation moves, and in which order."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from uuidfs.errors import UsageError, UuidfsError
from uuidfs.layout.names import is_uuid
from uuidfs.layout.places import Layout
from uuidfs.localmigration import domain_xml, memory
from uuidfs.localmigration.connection import connect, doing, find, module
from uuidfs.localmigration.preflight import pid_file
from uuidfs.localmigration.processes import process_of
from uuidfs.localmigration.results import Guest
from uuidfs.runtime import sessions
from uuidfs.runtime.owners import started_at

Needed = Callable[[Guest], bool]

"""Whether a guest needs a trip; it may raise UuidfsError or OSError, then nobody can tell."""


class Choice(NamedTuple):
    """``guests`` in their order; ``lives``: live XML by UUID, parsed."""

    guests: tuple[Guest, ...]
    lives: dict[str, Any]


def everybody(layout: Layout) -> list[str]:
    """The UUIDs of all guests that run; those that somebody moves just now are among them, though
    libvirt calls them shut off. Raises LibvirtRefused or NoAnswer."""
    libvirt = module()
    host = connect(layout.uri)
    try:
        with doing("list the running domains"):
            domains = host.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING)
            found = [str(domain.UUIDString()) for domain in domains]
    finally:
        host.close()
    return list(dict.fromkeys([*found, *(one.uuid for one in sessions.all_sessions(layout))]))


def look(layout: Layout, wanted: Sequence[str], *, by_size: bool) -> Choice:
    """Look at each of them: its name, its size. ``by_size``: the smallest come first.

    So what is wrong with all of them shows after seconds, and has cost little; and who waits for
    memory is larger than those that could go meanwhile. Whom nobody knows is among them: its trip
    says so. Raises LibvirtRefused or NoAnswer.
    """
    guests: dict[str, Guest] = {}
    lives: dict[str, Any] = {}
    host = connect(layout.uri)
    try:
        for word in wanted:
            try:
                domain = find(host, word)
            except UsageError:
                guests.setdefault(word, Guest(word, word, word if is_uuid(word) else ""))
                continue
            name, uuid = str(domain.name()), str(domain.UUIDString())
            with contextlib.suppress(module().libvirtError):
                lives[uuid] = domain_xml.parse(domain.XMLDesc())
            guests.setdefault(uuid, Guest(word, name, uuid, _size(layout, name, lives.get(uuid))))
    finally:
        host.close()
    found = list(guests.values())
    if by_size:
        found.sort(key=lambda guest: (guest.size, guest.name))
    return Choice(tuple(found), lives)


def _size(layout: Layout, name: str, live: Any | None) -> int:
    if live is not None:
        with contextlib.suppress(UuidfsError, OSError):
            process = process_of(pid_file(layout, name))
            if process is not None:
                with process:
                    need = memory.need_of(process, live)
                    return need.ordinary + sum(need.huge.values())
    return 0


def runs(layout: Layout) -> Needed:
    """Whether a guest still runs, or somebody moves it: one that is off by now needs no trip."""
    return started_before(layout, float("inf"))


def started_before(layout: Layout, when: float) -> Needed:
    """Whether a guest's QEMU process is older than ``when``, in seconds since the epoch.

    A guest that somebody moves just now counts as well: its trip says who is at it.
    """

    def needed(guest: Guest) -> bool:
        if not guest.uuid:
            return True  # nobody knows it: its trip says so
        # First the session: a guest that has none at this moment is in no peer.
        if os.path.lexists(sessions.path_of(layout, guest.uuid)):
            return True
        process = process_of(pid_file(layout, guest.name))
        if process is None:
            return False
        with process:
            began = started_at(process.pid)
        return began is not None and _since_epoch(began) < when

    return needed


def _since_epoch(ticks: int) -> float:
    """From ticks since boot (proc(5), starttime): a step of the clock in between is undone."""
    booted = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")
