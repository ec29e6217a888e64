"""What comes of trips: of one, and of an operation on a host."""

from typing import NamedTuple

from uuidfs.errors import EXIT_BUSY, EXIT_FAILED, EXIT_OK

MOVED = "moved"

CAN_MOVE = "can_move"  # a dry run

UP_TO_DATE = "up_to_date"  # or off by now: there is nothing to move

REFUSED = "refused"  # it cannot move, with the reason; nothing was changed

BUSY = "busy"  # somebody else is at it

FAILED = "failed"  # a trip that began, or should have; the message says where the guest is

NOT_BEGUN = "not_begun"  # the operation was stopped before its turn

RECOVERED = "recovered"

RENAMED = "renamed"

COUNTED = (MOVED, CAN_MOVE, UP_TO_DATE, REFUSED, BUSY, FAILED, NOT_BEGUN)


class Guest(NamedTuple):
    """A running domain. ``wanted`` is what it was asked for by; ``size`` the bytes that it needs
    once more, 0 where nobody knows."""

    wanted: str
    name: str
    uuid: str
    size: int = 0


class TripResult(NamedTuple):
    """``seconds`` in all, ``downtimes`` a hop in ms; ``where`` tells how it ended: "host", "gone"
    for a guest that has ended, "renamed". ``unconfined``: a security module confines the guest,
    and did not while it was in the peer. ``outcome`` is one of the above."""

    name: str
    uuid: str
    seconds: float = 0.0
    downtimes: tuple[int, ...] = ()
    where: str = ""
    error: str | None = None
    busy: bool = False
    unconfined: bool = False
    outcome: str = MOVED


class OperationResult(NamedTuple):
    """``trips`` in the order of the operation. ``began`` in seconds since the epoch. ``stopped``:
    why it ended early, "interrupted" or "failures"; empty when it did not."""

    trips: tuple[TripResult, ...]
    began: float
    seconds: float
    stopped: str = ""

    def count(self, outcome: str) -> int:
        """How many trips had this outcome."""
        return sum(trip.outcome == outcome for trip in self.trips)

    @property
    def longest_downtime(self) -> int | None:
        """In ms, of one hop; None where there was none."""
        return max((each for trip in self.trips for each in trip.downtimes), default=None)

    @property
    def exit_code(self) -> int:
        """0, or 75 where somebody was busy, or 1 where anything else went not as wanted."""
        if any(trip.error is not None and not trip.busy for trip in self.trips):
            return EXIT_FAILED
        return EXIT_BUSY if any(trip.busy for trip in self.trips) else EXIT_OK
