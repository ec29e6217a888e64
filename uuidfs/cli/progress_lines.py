"""Trips as they go, for programs: a JSON object a line on standard output (``--progress``).

It is written in one thread, the one that prints results; trips tell how far they are from theirs.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from uuidfs.cli.render import migration

if TYPE_CHECKING:
    from uuidfs.localmigration.hop import HopProgress
    from uuidfs.localmigration.results import Guest, TripResult


class ProgressLines:
    """Makes lines of what has changed since the last ones."""

    def __init__(self) -> None:
        self._hops: dict[str, HopProgress] = {}  # by name, written by the trips' threads
        self._told: dict[str, tuple[HopProgress | None, int]] = {}  # by UUID

    def progress(self, name: str, hop: "HopProgress") -> None:
        """How far a trip is; called in any thread."""
        self._hops[name] = hop

    def begun(self, guests: int) -> list[str]:
        """The first line, with the process that SIGINT stops gently."""
        return [migration.begun_json(os.getpid(), guests)]

    def ended(self, trip: "TripResult") -> list[str]:
        """One is over."""
        self._hops.pop(trip.name, None)
        self._told.pop(trip.uuid, None)
        return [migration.ended_json(trip)]

    def lines(self, under_way: "Sequence[Guest]", waiting: int) -> list[str]:
        """One for each guest under way of which there is something new."""
        found = []
        for guest in under_way:
            now = (self._hops.get(guest.name), waiting)
            if self._told.get(guest.uuid, ()) != now:
                self._told[guest.uuid] = now
                found.append(migration.progress_json(guest, *now))
        return found
