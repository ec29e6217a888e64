"""Operations with made-up trips: what is begun, what is told, and what comes of the whole."""

import threading
from collections.abc import Callable, Sequence

import pytest

from uuidfs.errors import Busy, UsageError, UuidfsError
from uuidfs.layout.connections import system
from uuidfs.localmigration.budget import Budget
from uuidfs.localmigration.choice import Needed
from uuidfs.localmigration.operation import Manner, Observer, run
from uuidfs.localmigration.preflight import CannotMove
from uuidfs.localmigration.results import (
    BUSY,
    FAILED,
    MOVED,
    NOT_BEGUN,
    REFUSED,
    UP_TO_DATE,
    Guest,
    OperationResult,
    TripResult,
)

GUESTS = [Guest(name, name, f"uuid-{name}") for name in "abcd"]

ERRORS = {
    "fails": UuidfsError("the hop failed"),
    "a call fails": OSError(5, "EIO"),
    "no such": UsageError("libvirt has no domain"),
    "busy": Busy("/lock", 0.0),
    "cannot": CannotMove("it", ["a host device"]),
    "short": CannotMove("it", ["memory: too little"]),
}


class Seen(Observer):
    """Who ended, in that order, and how many were under way at most."""

    def __init__(self) -> None:
        self.ended_: list[tuple[str, str]] = []
        self.most = 0

    def ended(self, guest: Guest, trip: TripResult) -> None:
        self.ended_.append((guest.name, trip.outcome))

    def look(self, under_way: Sequence[Guest], _waiting: int) -> None:
        self.most = max(self.most, len(under_way))


class Counted(Budget):
    """A budget in which so many guests have room, and who had it when."""

    def __init__(self, room: int) -> None:
        super().__init__(system(), {})
        self.room = room
        self.inside: set[str] = set()
        self.asked = 0

    def fits(self, _guest: Guest) -> bool:
        self.asked += 1
        return len(self.inside) < self.room

    def begin(self, guest: Guest) -> None:
        self.inside.add(guest.name)
        assert len(self.inside) <= max(self.room, 1)

    def end(self, guest: Guest) -> None:
        self.inside.remove(guest.name)


class Host:
    """Trips that end as ``outcomes`` says by name: an error, or well."""

    def __init__(self, **outcomes: str) -> None:
        self.outcomes = outcomes
        self.begun: list[str] = []
        self.seen = Seen()
        self.cancelled = threading.Event()
        self.during: Callable[[Guest], None] = lambda _guest: None

    def trip(self, guest: Guest) -> TripResult:
        self.begun.append(guest.name)
        self.during(guest)
        if guest.name in self.outcomes:
            raise ERRORS[self.outcomes[guest.name]]
        return TripResult(guest.name, guest.uuid, 1.0, (10, 20), "host")

    def run(self, jobs: int = 1, stop: int = 0, needed: Needed | None = None) -> OperationResult:
        manner = Manner(jobs, stop, self.cancelled)
        return run(GUESTS, self.trip, manner, Budget(system(), {}), needed, self.seen)


def outcomes(result: OperationResult) -> list[str]:
    return [trip.outcome for trip in result.trips]


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_each_has_a_result_in_the_order_of_the_operation(jobs: int) -> None:
    host = Host(b="fails", c="busy", d="cannot")
    result = host.run(jobs)
    assert [trip.name for trip in result.trips] == ["a", "b", "c", "d"]
    assert outcomes(result) == [MOVED, FAILED, BUSY, REFUSED]
    assert sorted(host.seen.ended_) == list(zip("abcd", outcomes(result), strict=True))
    assert (result.exit_code, result.stopped, result.longest_downtime) == (1, "", 20)
    assert [trip.busy for trip in result.trips] == [False, False, True, False]


@pytest.mark.parametrize("wrong", ["fails", "a call fails"])
@pytest.mark.parametrize("stop", [0, 1, 2])
def test_it_stops_after_so_many_failures(wrong: str, stop: int) -> None:
    host = Host(a=wrong, b=wrong)
    result = host.run(1, stop)
    left = {0: 0, 1: 3, 2: 2}[stop]
    assert outcomes(result).count(NOT_BEGUN) == left
    assert len(host.begun) == 4 - left
    assert result.stopped == ("failures" if left else "")
    if left:
        assert f"not begun: {stop} trip" in str(result.trips[-1].error)


@pytest.mark.parametrize("wrong", ["no such", "busy", "cannot", "short"])
def test_who_is_refused_or_busy_stops_nothing(wrong: str) -> None:
    result = Host(a=wrong, b=wrong, c=wrong).run(1, 1)
    assert result.stopped == ""
    assert outcomes(result)[3] == MOVED


def test_those_under_way_come_to_their_end_when_one_fails() -> None:
    host = Host(a="fails")
    failed = threading.Event()

    def during(guest: Guest) -> None:
        if guest.name == "b":
            assert failed.wait(60)

    host.during = during
    told = host.seen.ended

    def ended(guest: Guest, trip: TripResult) -> None:
        told(guest, trip)
        if guest.name == "a":
            failed.set()

    host.seen.ended = ended  # type: ignore[method-assign] # the test's own observer
    result = host.run(2, 1)
    assert outcomes(result) == [FAILED, MOVED, NOT_BEGUN, NOT_BEGUN]
    assert sorted(host.begun) == ["a", "b"]


def test_a_signal_lets_nobody_begin() -> None:
    host = Host()
    host.during = lambda _guest: host.cancelled.set()
    result = host.run()
    assert outcomes(result) == [MOVED, NOT_BEGUN, NOT_BEGUN, NOT_BEGUN]
    assert result.trips[1].error == "not begun: interrupted"
    assert (result.stopped, result.exit_code) == ("interrupted", 1)


def test_one_that_needs_no_trip_is_asked_before_all_and_again_in_its_turn() -> None:
    """b is up to date at once; c is so when its turn comes, since somebody else moved it."""
    host = Host()
    asked: list[str] = []

    def needed(guest: Guest) -> bool:
        asked.append(guest.name)
        return guest.name != "b" and asked.count("c") < 2

    result = host.run(needed=needed)
    assert outcomes(result) == [MOVED, UP_TO_DATE, UP_TO_DATE, UP_TO_DATE]
    assert host.begun == ["a"]
    assert asked == ["a", "b", "c", "d", "a", "c", "d"]
    assert (result.exit_code, result.stopped) == (0, "")


@pytest.mark.parametrize("error", [UuidfsError("cannot be read"), OSError(5, "EIO")])
def test_of_whom_it_cannot_be_told_is_refused_and_stops_nothing(error: Exception) -> None:
    def needed(guest: Guest) -> bool:
        if guest.name == "b":
            raise error
        return True

    host = Host()
    assert outcomes(host.run(1, 1, needed)) == [MOVED, REFUSED, MOVED, MOVED]
    assert host.begun == ["a", "c", "d"]


def test_who_was_refused_for_memory_beside_others_is_tried_again_alone() -> None:
    host = Host(b="short")
    together = threading.Barrier(2)
    first = iter("ab")

    def during(guest: Guest) -> None:
        if next(first, None):
            together.wait(60)
        elif guest.name == "b":
            del host.outcomes["b"]

    host.during = during
    result = host.run(2)
    assert outcomes(result) == [MOVED] * 4
    assert host.begun.count("b") == 2
    assert ("b", REFUSED) not in host.seen.ended_


@pytest.mark.parametrize("room", [0, 1, 2])
def test_who_begins_has_room_and_gives_it_back(room: int) -> None:
    host = Host(b="fails", c="short")
    counted = Counted(room)
    result = run(GUESTS, host.trip, Manner(3), counted)
    assert outcomes(result) == [MOVED, FAILED, REFUSED, MOVED]
    assert counted.inside == set()
    assert counted.asked > 0


def test_nothing_to_move_is_fine() -> None:
    result = run([], Host().trip, Manner(), Budget(system(), {}))
    assert (result.trips, result.exit_code, result.longest_downtime) == ((), 0, None)


@pytest.mark.parametrize(
    ("wrong", "code"), [({}, 0), ({"a": "busy"}, 75), ({"a": "busy", "b": "cannot"}, 1)]
)
def test_exit_codes(wrong: dict[str, str], code: int) -> None:
    assert Host(**wrong).run().exit_code == code
