"""An operation on a host: many trips, some at a time, in the order and with the memory there is."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from uuidfs.errors import UuidfsError
from uuidfs.localmigration.budget import Budget
from uuidfs.localmigration.choice import Needed
from uuidfs.localmigration.migrate import failure
from uuidfs.localmigration.preflight import CannotMove
from uuidfs.localmigration.results import (
    FAILED,
    NOT_BEGUN,
    REFUSED,
    UP_TO_DATE,
    Guest,
    OperationResult,
    TripResult,
)
from uuidfs.localmigration.turns import NEVER, Turns

WAKE = 0.1  # seconds after which the main thread looks for signals, and for memory


class Observer:
    """Who is told how an operation goes, all in the thread that runs it. This one does nothing."""

    def starts(self, began: float) -> None:
        """It begins, at a time in seconds since the epoch."""

    def ended(self, guest: Guest, trip: TripResult) -> None:
        """One is over, or will not begin; not told of a guest that gets another turn."""

    def look(self, under_way: Sequence[Guest], waiting: int) -> None:
        """Some time has passed."""


class Manner(NamedTuple):
    """``jobs``: trips at a time. ``max_failures``: none begins after so many have failed, 0 for
    never. ``cancelled``: none begins once somebody has set it; trips know it by their options."""

    jobs: int = 1
    max_failures: int = NEVER
    cancelled: threading.Event = threading.Event()  # nobody sets this one


def run(
    guests: Sequence[Guest],
    trip: Callable[[Guest], TripResult],
    manner: Manner,
    budget: Budget,
    needed: Needed | None = None,
    observer: Observer | None = None,
) -> OperationResult:
    """Move each of them; every one is in the result, whatever came of it.

    A refused guest, or one that somebody else is at, is no failure. ``needed`` is asked before
    the first trip, and again in a guest's turn: it may be up to date by then. Where that cannot
    be told (UuidfsError, OSError) the guest is refused. To be run in the main thread: Python
    calls signal handlers in no other one.
    """
    observer = observer or Observer()
    began, clock = time.time(), time.monotonic()
    observer.starts(began)
    found: dict[Guest, TripResult] = {}
    for guest in guests:
        if needed is not None and not manner.cancelled.is_set() and not _may_need(needed, guest):
            found[guest] = _up_to_date(guest)
            observer.ended(guest, found[guest])
    turns = Turns([g for g in guests if g not in found], manner.jobs, manner.max_failures)
    with ThreadPoolExecutor(max(min(manner.jobs, len(guests)), 1)) as pool:
        running: dict[Future[tuple[TripResult, bool]], Guest] = {}
        while not turns.over:
            turns.cancelled = manner.cancelled.is_set()
            while (first := turns.begin(budget.fits)) is not None:
                budget.begin(first)
                running[pool.submit(_attempt, trip, first, needed)] = first
            # The kernel may give a signal to another thread: a wait without an end would sleep
            # through it.
            for done in wait(running, WAKE, FIRST_COMPLETED).done:
                guest = running.pop(done)
                budget.end(guest)
                result, short = done.result()
                if short and turns.short(guest):
                    continue
                if not short:
                    turns.end(guest, failed=result.outcome == FAILED)
                found[guest] = result
                observer.ended(guest, result)
            observer.look(turns.under_way, len(turns.waiting))
    why = "interrupted" if turns.cancelled else f"{_trips(turns.failures)} failed"
    for guest in turns.waiting:
        error = f"not begun: {why}"
        found[guest] = TripResult(guest.name, guest.uuid, error=error, outcome=NOT_BEGUN)
        observer.ended(guest, found[guest])
    stopped = "interrupted" if turns.cancelled else "failures" if turns.waiting else ""
    ordered = tuple(found[guest] for guest in guests)
    return OperationResult(ordered, began, time.monotonic() - clock, stopped)


def _may_need(needed: Needed, guest: Guest) -> bool:
    """What cannot be told now is told in its turn."""
    try:
        return needed(guest)
    except (UuidfsError, OSError):
        return True


def _up_to_date(guest: Guest) -> TripResult:
    return TripResult(guest.name, guest.uuid, outcome=UP_TO_DATE)


def _attempt(
    trip: Callable[[Guest], TripResult], guest: Guest, needed: Needed | None
) -> tuple[TripResult, bool]:
    """What came of it, and whether it was refused for memory alone."""
    try:
        if needed is not None and not needed(guest):
            return _up_to_date(guest), False
    except (UuidfsError, OSError) as error:
        return failure(error, guest.name, guest.uuid)._replace(outcome=REFUSED), False
    try:
        return trip(guest), False
    except CannotMove as error:
        return failure(error, guest.name, guest.uuid), error.for_memory
    except (UuidfsError, OSError) as error:
        return failure(error, guest.name, guest.uuid), False


def _trips(number: int) -> str:
    return "1 trip has" if number == 1 else f"{number} trips have"
