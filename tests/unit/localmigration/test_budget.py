"""Whether one more guest fits: with made-up places, and with a made-up /proc."""

from itertools import product
from typing import Any, Self

import pytest
from lxml import etree

from uuidfs.layout.connections import system
from uuidfs.localmigration import budget, memory
from uuidfs.localmigration.budget import Budget, Claim, fits
from uuidfs.localmigration.memory import Need, Place
from uuidfs.localmigration.results import Guest

MIB = 1 << 20

HOST = Place("the host", 10)


def claim(ordinary: int, *groups: str, nodes: tuple[int, ...] = (), **huge: int) -> Claim:
    pages = {int(key.strip("_")): size for key, size in huge.items()}
    return Claim(Need(ordinary, pages, nodes), frozenset(groups))


def test_whatever_those_under_way_have_taken_all_of_them_fit_in_the_end() -> None:
    """Every total of 0 to 7, two guests under way of 0 to 3, each with 0 to all of it taken."""
    tried = 0
    for total, one, two, new in product(range(8), range(4), range(4), range(5)):
        for taken in product(range(one + 1), range(two + 1)):
            free = total - sum(taken)
            claims = [claim(one - taken[0]), claim(two - taken[1])]
            may = fits(Need(new, {}), [Place("the host", free)], claims)
            assert may == (one + two + new <= total)
            tried += 1
    assert tried > 3000


@pytest.mark.parametrize(
    ("place", "others", "free"),
    [
        (HOST, [claim(4), claim(3)], 3),
        (HOST, [claim(4, "/machine", nodes=(1,))], 6),
        (Place("a group", 10, group="/machine"), [claim(4, "/machine"), claim(3)], 6),
        (Place("a group", 10, group="/machine"), [claim(4, "/user", "/other")], 10),
        (Place("node 0", 10, nodes=(0,)), [claim(4, nodes=(1,)), claim(3, nodes=(0, 1))], 7),
        (Place("node 0", 10, nodes=(0,)), [claim(4)], 6),
        (Place("huge", 10, page=2048), [claim(4, _2048=3, _1048576=5)], 7),
        (Place("huge", 10, page=2048, nodes=(0,)), [claim(4, nodes=(1,), _2048=3)], 10),
        (Place("huge", 10, page=2048), [claim(4, nodes=(1,), _2048=3)], 7),
    ],
)
def test_who_takes_from_which_place(place: Place, others: list[Claim], free: int) -> None:
    page = {2048: 0}
    for wanted in (free, free + 1):
        need = Need(0, {2048: wanted}) if place.page else Need(wanted, page)
        assert fits(need, [place], others) == (wanted == free)


def test_one_place_that_is_too_small_is_enough() -> None:
    assert not fits(Need(5, {}), [HOST, Place("a group", 4, group="/machine")], [])


class Kernel:
    """Memory in MiB of processes by their pid files, and what is free."""

    def __init__(self) -> None:
        self.has: dict[str, int] = {}
        self.free = 0
        self.pages = 0  # free ones of 2 MiB

    def process(self, path: str) -> Any:
        name = path.rsplit("/", 1)[-1]
        return FakeProcess(self.has[name] * MIB) if name in self.has else None


class FakeProcess:
    def __init__(self, has: int) -> None:
        self._has = has

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def memory(self) -> int:
        return self._has

    def read(self, _name: str) -> str:
        return ""


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(budget, "process_of", made.process)
    monkeypatch.setattr(memory, "_read", lambda path: _meminfo(made, path))
    return made


def _meminfo(kernel: Kernel, path: str) -> str:
    if path == "/proc/meminfo":
        return f"MemAvailable: {kernel.free << 10} kB\nHugepagesize: 2048 kB\n"
    return f"{kernel.pages}\n" if path.endswith("hugepages-2048kB/free_hugepages") else ""


A, B = (Guest(name, name, f"00000000-0000-4000-8000-00000000000{name}") for name in "ab")

OWN = memory.OVERHEAD // MIB


def made(*guests: Guest, inside: str = "") -> Budget:
    xml = f"<domain><memory unit='KiB'>{1 << 20}</memory>{inside}</domain>"
    return Budget(system(), {guest.uuid: etree.fromstring(xml) for guest in guests})


def test_what_a_guest_has_taken_counts_once(kernel: Kernel) -> None:
    """A of 100 MiB goes out and home; B of 200 fits when it would with A's whole need to come."""
    both = made(A, B)
    kernel.has = {"a.pid": 100, "b.pid": 200}
    both.begin(A)
    whole = 100 + 200 + 2 * OWN
    for there, freed in (
        ({}, 0),
        ({"a-incoming.pid": 60}, -60),
        ({"a-incoming.pid": 100}, -100),
        ({"a.pid": 0, "a-incoming.pid": 100}, 0),
        ({"a.pid": 30, "a-incoming.pid": 100}, -30),
        ({"a.pid": 60}, 0),
    ):
        kernel.has = {"a.pid": 100, "b.pid": 200} | there
        for free, may in ((whole, True), (whole - 1, False)):
            kernel.free = free + freed
            assert both.fits(B) == may, (there, free)
    both.end(A)
    kernel.free = 200 + OWN
    assert both.fits(B)
    kernel.free -= 1
    assert not both.fits(B)


def test_a_peer_that_takes_more_than_the_guest_had_takes_nothing_from_the_overhead(
    kernel: Kernel,
) -> None:
    both = made(A, B)
    kernel.has = {"a.pid": 100, "b.pid": 200}
    both.begin(A)
    kernel.has["a-incoming.pid"] = 5000
    kernel.free = 200 + 2 * OWN - 1
    assert not both.fits(B)


def test_memory_that_somebody_frees_while_it_is_looked_at_does_not_count_twice(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A's old process ends after A's memory was read, and before what is free is."""
    both = made(A, B)
    kernel.has = {"a.pid": 100, "b.pid": 200}
    both.begin(A)
    kernel.has["a-incoming.pid"] = 100
    kernel.free = 200 + OWN  # all but what A has left, its overhead
    rest = budget._Begun.rest

    def then(begun: Any) -> Claim:
        found = rest(begun)
        kernel.free += 100
        return found

    monkeypatch.setattr(budget._Begun, "rest", then)
    assert not both.fits(B)


def test_with_huge_pages_everything_counts_in_full_to_the_end(kernel: Kernel) -> None:
    """1024 MiB of them, and 76 beside; what is of which kind in the peer nobody tells."""
    both = made(A, B, inside="<memoryBacking><hugepages/></memoryBacking>")
    kernel.has = {"a.pid": 1100, "b.pid": 1100}
    both.begin(A)
    kernel.has["a-incoming.pid"] = 1100
    for pages, free, may in (
        (1024, 2 * (76 + OWN), True),
        (1023, 2 * (76 + OWN), False),
        (1024, 2 * (76 + OWN) - 1, False),
    ):
        kernel.pages, kernel.free = pages, free
        assert both.fits(B) == may, (pages, free)


def test_who_cannot_be_looked_at_may_begin(kernel: Kernel) -> None:
    """Its preflight says what is wrong."""
    both = made(A)
    both.begin(A)
    both.begin(B)
    assert both.fits(A)
    assert both.fits(B)
