"""All trips of an operation on a terminal: a line for each guest under way, and one in all.

It is drawn in one thread, the one that prints results; trips tell how far they are from theirs.
"""

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from uuidfs.cli.render.columns import clipped, padded
from uuidfs.cli.render.migration import clock
from uuidfs.errors import show
from uuidfs.localmigration.results import BUSY, COUNTED, FAILED, MOVED, NOT_BEGUN, REFUSED

if TYPE_CHECKING:
    from uuidfs.localmigration.hop import HopProgress
    from uuidfs.localmigration.results import Guest, TripResult

_BAR = 20  # letters

_NAME = 24  # letters of a name at most

_UP, _ERASE = "\x1b[{}F", "\x1b[J"  # to the beginning of the line so many above; all below


class TripsView:
    """Draws at the bottom of the terminal; what is printed above it has to be after ``clear``."""

    def __init__(self, guests: int) -> None:
        self._all = guests
        self._began = time.monotonic()
        self._hops: dict[str, HopProgress] = {}  # written by the trips' threads
        self._outcomes: list[str] = []
        self._drawn = 0

    def progress(self, name: str, hop: "HopProgress") -> None:
        """How far a trip is; called in any thread."""
        self._hops[name] = hop

    def ended(self, trip: "TripResult") -> None:
        """One is over."""
        self._hops.pop(trip.name, None)
        self._outcomes.append(trip.outcome)

    def clear(self) -> None:
        """Take the lines away."""
        if self._drawn:
            self._write(_UP.format(self._drawn) + _ERASE)
            self._drawn = 0

    def draw(self, under_way: "Sequence[Guest]", waiting: int) -> None:
        """Draw it anew, as wide and high as the terminal is now."""
        columns, rows = _size()
        lines = [self._line(guest.name) for guest in under_way]
        room = max(rows - 2, 0)  # beside the line in all, and the one where the cursor stands
        if len(lines) > room:
            kept = max(room - 1, 0)
            lines = [*lines[:kept], f"and {len(lines) - kept} more"][:room]
        lines.append(self._total(len(under_way), waiting))
        back = _UP.format(self._drawn) if self._drawn else ""
        text = "".join(f"{clipped(line, columns - 1)}\n" for line in lines)
        self._write(f"{back}{_ERASE}{text}")
        self._drawn = len(lines)

    def _line(self, name: str) -> str:
        label = padded(clipped(show(name), _NAME), _NAME)
        hop = self._hops.get(name)
        if hop is None:
            return f"{label}  begins"
        way = hop.way
        if not hop.total:  # QEMU has not begun to copy
            return f"{label}  {way}"
        done = 1.0 - min(max(hop.remaining / hop.total, 0.0), 1.0)
        bar = ("#" * round(done * _BAR)).ljust(_BAR, ".")
        rest = f"{hop.transferred >> 20} MiB, {hop.remaining >> 20} MiB remain"
        if hop.downtime is not None:
            rest = f"{hop.transferred >> 20} MiB, downtime {hop.downtime} ms"
        return f"{label}  {way:4}  [{bar}] {done:4.0%}  {rest}"

    def _total(self, under_way: int, waiting: int) -> str:
        words = [f"{len(self._outcomes)} of {self._all} done"]
        for outcome in COUNTED:
            number = self._outcomes.count(outcome)
            if number and (outcome == MOVED or outcome in {REFUSED, BUSY, FAILED, NOT_BEGUN}):
                words.append(f"{number} {outcome.replace('_', ' ')}")
        words += [f"{under_way} under way", f"{waiting} to come"]
        return f"{', '.join(words)}; {clock(time.monotonic() - self._began)}"

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _size() -> tuple[int, int]:
    """Columns and rows; a terminal that says 0 has the usual ones."""
    try:
        columns, rows = os.get_terminal_size(sys.stderr.fileno())
    except OSError:
        columns, rows = 0, 0
    return columns or 80, rows or 24
