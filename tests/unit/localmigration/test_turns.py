"""Every order in which trips can end, within a bound: nobody starves, nothing begins too early."""

from collections.abc import Iterator, Sequence
from itertools import product

import pytest

from uuidfs.localmigration.turns import NEVER, Turns

MOVED, FAILED, SHORT = "moved", "failed", "short"


class World:
    """A host with so much memory, and guests by number: their sizes, and what comes of them."""

    def __init__(
        self, sizes: Sequence[int], memory: int, jobs: int, outcomes: Sequence[str], stop: int
    ) -> None:
        self.sizes = sizes
        self.memory = memory
        self.outcomes = list(outcomes)
        self.turns = Turns(list(range(len(sizes))), jobs, stop)
        self.jobs = jobs
        self.stop = stop
        self.begun: list[int] = []
        self.over: list[int] = []
        self.failures = 0
        self.alone: set[int] = set()

    def fits(self, guest: int) -> bool:
        used = sum(self.sizes[one] for one in self.turns.under_way)
        return used + self.sizes[guest] <= self.memory

    def fill(self) -> None:
        """Let as many begin as may, and look at each."""
        while (guest := self.turns.begin(self.fits)) is not None:
            under_way = self.turns.under_way
            assert len(under_way) <= self.jobs
            assert len(under_way) == 1 or sum(self.sizes[g] for g in under_way) <= self.memory
            assert not (self.alone & {*under_way}) or len(under_way) == 1
            assert not 0 < self.stop <= self.failures, "it begins after too many failures"
            self.begun.append(guest)

    def end(self, guest: int) -> None:
        """One trip ends as it has to; what lacked memory lacks it once."""
        if self.outcomes[guest] == SHORT:
            self.outcomes[guest] = MOVED
            if self.turns.short(guest):
                assert guest not in self.alone, "a third turn"
                self.alone.add(guest)
                assert self.turns.waiting[0] == guest
                return
        else:
            self.failures += self.outcomes[guest] == FAILED
            self.turns.end(guest, failed=self.outcomes[guest] == FAILED)
        self.alone.discard(guest)
        self.over.append(guest)


def play(
    sizes: Sequence[int], memory: int, jobs: int, outcomes: Sequence[str], stop: int
) -> Iterator[World]:
    """All orders in which they can end: a schedule is which of those under way ends next."""
    schedules: list[tuple[int, ...]] = [()]
    while schedules:
        schedule = schedules.pop()
        world = World(sizes, memory, jobs, outcomes, stop)
        world.fill()
        for which in schedule:
            world.end(world.turns.under_way[which])
            world.fill()
        if world.turns.over:
            yield world
            continue
        assert world.turns.under_way, "nobody is under way, and it is not over: a deadlock"
        schedules += [(*schedule, which) for which in range(len(world.turns.under_way))]


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_all_of_four_guests_come_to_their_turn(jobs: int) -> None:
    """In their order, whatever their sizes are: nobody overtakes, and nobody is left over."""
    ends = 0
    for sizes in product((1, 2, 5), repeat=4):
        for memory in (0, 3, 4):
            for world in play(sizes, memory, jobs, [MOVED] * 4, NEVER):
                assert world.begun == [0, 1, 2, 3]
                assert sorted(world.over) == [0, 1, 2, 3]
                ends += 1
    print(ends)


@pytest.mark.parametrize("stop", [NEVER, 1, 2])
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_whatever_comes_of_each(jobs: int, stop: int) -> None:
    """Failures stop it, those under way end; what lacked memory gets one more turn, alone."""
    for outcomes in product((MOVED, FAILED, SHORT), repeat=4):
        for world in play((1, 1, 2, 2), 3, jobs, outcomes, stop):
            assert world.turns.under_way == []
            rest = {*world.turns.waiting}
            assert {*world.over} | rest == {0, 1, 2, 3}
            assert not {*world.over} & rest
            assert not rest or world.turns.stopped
            if not stop or FAILED not in outcomes:
                assert rest == set()


def test_who_waits_for_memory_is_passed_by_nobody() -> None:
    """5 does not fit beside 1; the 1 behind it would, and waits."""
    world = World((1, 5, 1), 5, 3, [MOVED] * 3, NEVER)
    world.fill()
    assert world.begun == [0]
    world.end(0)
    world.fill()
    assert world.begun == [0, 1]


def test_a_guest_that_was_alone_gets_no_second_turn() -> None:
    world = World((1, 1), 5, 1, [SHORT, MOVED], NEVER)
    world.fill()
    world.end(0)
    assert world.over == [0]


def test_who_is_refused_for_memory_beside_others_goes_alone() -> None:
    world = World((1, 1, 1), 5, 3, [MOVED, SHORT, MOVED], NEVER)
    world.fill()
    assert world.begun == [0, 1, 2]
    world.end(1)
    world.fill()
    assert world.turns.under_way == [0, 2]
    world.end(0)
    world.fill()
    assert world.turns.under_way == [2]
    world.end(2)
    world.fill()
    assert world.begun == [0, 1, 2, 1]
    world.end(1)
    assert world.turns.over


def test_when_it_is_cancelled_nobody_begins() -> None:
    world = World((1, 1), 5, 1, [MOVED] * 2, NEVER)
    world.fill()
    world.turns.cancelled = True
    assert not world.turns.over
    world.end(0)
    world.fill()
    assert (world.begun, world.turns.waiting, world.turns.over) == ([0], (1,), True)
