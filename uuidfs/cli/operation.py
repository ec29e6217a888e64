"""Runs trips for a command: with signals, a view on a terminal, the journal, and a result's end."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from uuidfs.cli.output import draws, say
from uuidfs.cli.progress import HopBar
from uuidfs.cli.progress_lines import ProgressLines
from uuidfs.cli.render import migration
from uuidfs.cli.trips_view import TripsView
from uuidfs.errors import EXIT_FAILED
from uuidfs.localmigration.budget import Budget
from uuidfs.localmigration.operation import Manner, Observer, run
from uuidfs.localmigration.results import UP_TO_DATE

if TYPE_CHECKING:
    from uuidfs.cli.journal import Journal
    from uuidfs.localmigration.choice import Needed
    from uuidfs.localmigration.hop import HopProgress
    from uuidfs.localmigration.results import Guest, OperationResult, TripResult


class Teller(Observer):
    """Tells of each trip when it is over. Whatever becomes of who listens, the trips go on."""

    def __init__(
        self,
        guests: int,
        cancelled: threading.Event,
        journal: "Journal | None" = None,
        *,
        as_json: bool = False,
        whole: bool = False,
        live: bool = False,
    ) -> None:
        """``cancelled``: set by a signal. ``whole``: this is an operation, not one trip alone.
        ``live``: with JSON lines of how far it is."""
        self.progress: Callable[[str, HopProgress], None] | None = None
        self._guests = guests
        self._cancelled = cancelled
        self._journal = journal
        self._as_json = as_json
        self._whole = whole
        self._warned = False
        self._gone: set[int] = set()  # streams that nobody reads: a closed pipe, a lost terminal
        self._view: TripsView | None = None
        self._lines = ProgressLines() if live else None
        if self._lines is not None:
            self.progress = self._lines.progress
        elif guests > 1 and draws():
            self._view = TripsView(guests)
            self.progress = self._view.progress
        elif guests == 1 and draws():
            self.progress = HopBar()

    def starts(self, began: float) -> None:
        """A line in the journal."""
        if self._lines is not None:
            self.say(self._lines.begun(self._guests))
        if self._journal is not None and self._whole:
            self._journal.begins(self._guests, migration.moment(began))

    def ended(self, guest: "Guest", trip: "TripResult") -> None:
        """A line, and one in the journal."""
        if self._journal is not None and trip.outcome != UP_TO_DATE:
            self._journal.trip(trip)
        if self._view is not None:
            self._view.ended(trip)
        if self._lines is not None:
            self.say(self._lines.ended(trip))
        # In an operation those that are up to date are counted: they may be nearly all.
        if not self._as_json and not (self._whole and trip.outcome == UP_TO_DATE):
            self.say(migration.trip_lines([trip]), migration.trip_errors([trip]))

    def over(self, result: "OperationResult") -> None:
        """The view goes, and a line in the journal."""
        self.say([])
        if self._journal is not None and self._whole:
            self._journal.ends(result, migration.moment(result.began))

    def look(self, under_way: "Sequence[Guest]", waiting: int) -> None:
        """The view. Of a signal, too: its handler may have come while something was printed."""
        if self._cancelled.is_set() and not self._warned:
            self._warned = True
            self.say([], ["uuidfs: interrupted; guests that are away come home first"])
        if self._view is not None:
            with self._writing(2):
                self._view.draw(under_way, waiting)
        if self._lines is not None and (lines := self._lines.lines(under_way, waiting)):
            self.say(lines)

    def say(self, lines: Sequence[str], errors: Sequence[str] = ()) -> None:
        """Print above the view."""
        with self._writing(2):
            if self._view is not None:
                self._view.clear()
            say([], errors)
        with self._writing(1):
            say(lines)

    @property
    def unheard(self) -> bool:
        """Whether results were lost, since nobody reads standard output."""
        return 1 in self._gone

    @contextlib.contextmanager
    def _writing(self, stream: int) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._gone.add(stream)
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


@contextlib.contextmanager
def handled(cancelled: threading.Event) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP bring the trips under way to their end, and no more begin.

    Without that, a signal would end the main thread while trips go on in others. A guest that is
    on its way out stays, one in the peer goes home. Where nohup(1) had SIGHUP ignored it stays so.
    """

    def interrupted(_number: int, _frame: object) -> None:
        cancelled.set()

    before: dict[int, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, interrupted)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def trips(
    guests: "Sequence[Guest]",
    trip: "Callable[[Guest], TripResult]",
    manner: Manner,
    budget: Budget,
    teller: Teller,
    needed: "Needed | None" = None,
) -> "OperationResult":
    """Run them; see :func:`uuidfs.localmigration.operation.run`."""
    with handled(manner.cancelled):
        result = run(guests, trip, manner, budget, needed, teller)
    teller.over(result)
    return result


def finish(
    result: "OperationResult", teller: Teller, lines: Sequence[str], errors: Sequence[str] = ()
) -> NoReturn:
    """Print what comes last, and exit with the documented code."""
    teller.say(lines, errors)
    raise typer.Exit(EXIT_FAILED if teller.unheard else result.exit_code)
