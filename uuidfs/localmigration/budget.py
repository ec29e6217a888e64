"""Whether one more guest fits beside those under way: what is free now, less what they still need.

A trip takes the guest's memory a second time, twice in turn: in the peer, then at home. What a
guest under way has taken already is gone from what is free. So only the rest of its need counts,
by what its two processes have.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from uuidfs.errors import UuidfsError
from uuidfs.layout.places import Layout
from uuidfs.localmigration import memory
from uuidfs.localmigration.memory import Need, Place
from uuidfs.localmigration.migrate import directory_of
from uuidfs.localmigration.preflight import pid_file
from uuidfs.localmigration.processes import process_of
from uuidfs.localmigration.results import Guest
from uuidfs.runtime.peer_uuids import peer_name


class Claim(NamedTuple):
    """What a guest under way may still take, and from which control groups with a limit."""

    need: Need
    groups: frozenset[str] = frozenset()


def fits(need: Need, places: Sequence[Place], claims: Sequence[Claim]) -> bool:
    """Whether a need fits everywhere beside these claims."""
    return all(
        place.free - sum(claim.need.at(place) for claim in claims if _shares(claim, place))
        >= need.at(place)
        for place in places
    )


def _shares(claim: Claim, place: Place) -> bool:
    """Whether the claim may take from this place. A guest that is bound to no node may from all."""
    if place.group:
        return place.group in claim.groups
    if place.nodes and claim.need.nodes:
        return bool({*place.nodes} & {*claim.need.nodes})
    return True


class _Begun(NamedTuple):
    """``has``: bytes of its process when it began. ``files``: its pid files at home and away."""

    claim: Claim
    has: int
    files: tuple[str, str]

    def rest(self) -> Claim:
        """The claim, less what it has taken already. Huge pages count in full to the end."""
        need = self.claim.need
        if need.huge:
            return self.claim
        taken = sum(map(_memory, self.files)) - self.has
        # What the peer daemon itself needs may come at any time.
        most = need.ordinary - memory.OVERHEAD
        return self.claim._replace(
            need=need._replace(ordinary=need.ordinary - min(max(taken, 0), most))
        )


class Budget:
    """The memory of one operation, guest by guest. All methods are for one thread."""

    def __init__(self, layout: Layout, lives: Mapping[str, Any]) -> None:
        """``lives``: live XML by UUID, parsed. A guest without any takes part in no budget."""
        self._layout = layout
        self._lives = lives
        self._begun: dict[str, _Begun] = {}

    def fits(self, guest: Guest) -> bool:
        """Whether a guest may begin now. One that cannot be looked at may: its preflight tells."""
        first = self._look(guest)
        claims = [begun.rest() for begun in self._begun.values()]
        second = self._look(guest)
        if first is None or second is None:
            return True
        # Twice: what they take or give back in between must not count as taken and as free.
        earlier = {place.where: place.free for place in first[1]}
        places = [
            place._replace(free=min(place.free, earlier.get(place.where, place.free)))
            for place in second[1]
        ]
        return fits(second[0], places, claims)

    def begin(self, guest: Guest) -> None:
        """The guest begins: from now on its need counts."""
        looked = self._look(guest)
        if looked is not None:
            need, places, has = looked
            groups = frozenset(place.group for place in places if place.group)
            peer = f"{directory_of(self._layout, guest.uuid)}/run/qemu/{peer_name(guest.name)}.pid"
            files = (pid_file(self._layout, guest.name), peer)
            self._begun[guest.uuid] = _Begun(Claim(need, groups), has, files)

    def end(self, guest: Guest) -> None:
        """Its trip is over."""
        self._begun.pop(guest.uuid, None)

    def _look(self, guest: Guest) -> tuple[Need, list[Place], int] | None:
        live = self._lives.get(guest.uuid)
        if live is None:
            return None
        with contextlib.suppress(UuidfsError, OSError):
            process = process_of(pid_file(self._layout, guest.name))
            if process is not None:
                with process:
                    need = memory.need_of(process, live)
                    return need, memory.places(need, process), process.memory()
        return None


def _memory(path: str) -> int:
    """Bytes of the process that holds a pid file, 0 when there is none."""
    with contextlib.suppress(UuidfsError, OSError):
        process = process_of(path)
        if process is not None:
            with process:
                return process.memory()
    return 0
