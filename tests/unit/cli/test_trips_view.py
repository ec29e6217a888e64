"""The view of all trips, on terminals of any size; what it draws, and that it takes it away."""

import re

import pytest

from uuidfs.cli import trips_view
from uuidfs.cli.output import draws
from uuidfs.cli.render.columns import clipped
from uuidfs.cli.trips_view import TripsView
from uuidfs.localmigration.hop import HopProgress
from uuidfs.localmigration.results import FAILED, UP_TO_DATE, Guest, TripResult

MIB = 1 << 20


def guest(name: str) -> Guest:
    return Guest(name, name, f"uuid-{name}")


def drawn(
    view: TripsView,
    names: list[str],
    capsys: pytest.CaptureFixture[str],
    size: tuple[int, int] = (100, 24),
) -> list[str]:
    """The lines of one drawing; asserts that they fit, and that nothing was above them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trips_view, "_size", lambda: size)
        view.draw([guest(name) for name in names], 2)
    said = capsys.readouterr().err
    start, _, lines = said.rpartition("\x1b[J")
    assert re.fullmatch(r"(\x1b\[\d+F)?", start)
    assert lines.count("\n") < max(size[1], 2)
    assert all(len(line) < max(size[0], 2) for line in lines.split("\n"))
    return lines.split("\n")[:-1]


def test_a_line_a_guest_and_one_in_all(capsys: pytest.CaptureFixture[str]) -> None:
    view = TripsView(9)
    view.progress("web", HopProgress(1, 30 * MIB, 50 * MIB, 100 * MIB))
    view.progress("db", HopProgress(2, 5 * MIB, 0, 5 * MIB, 21))
    view.ended(TripResult("x", "", error="no", outcome=FAILED))
    view.ended(TripResult("y", "", outcome=UP_TO_DATE))
    view.progress("late", HopProgress(2))
    web, db, late, new, total = drawn(view, ["web", "db", "late", "new"], capsys)
    assert re.fullmatch(r"web +out   \[#{10}\.{10}\]  50%  30 MiB, 50 MiB remain", web)
    assert re.fullmatch(r"db +home  \[#{20}\] 100%  5 MiB, downtime 21 ms", db)
    assert re.fullmatch(r"late +home", late)
    assert re.fullmatch(r"new +begins", new)
    assert total.startswith("2 of 9 done, 1 failed, 4 under way, 2 to come; 0.")


def test_it_is_drawn_over_itself_and_taken_away(capsys: pytest.CaptureFixture[str]) -> None:
    view = TripsView(3)
    drawn(view, ["a", "b"], capsys)
    view.draw([guest("a")], 0)
    assert capsys.readouterr().err.startswith("\x1b[3F\x1b[J")
    view.clear()
    assert capsys.readouterr().err == "\x1b[2F\x1b[J"
    view.clear()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (20, 3), (40, 5), (300, 100)])
def test_a_terminal_of_any_size(capsys: pytest.CaptureFixture[str], size: tuple[int, int]) -> None:
    view = TripsView(30)
    names = [f"guest-{number}" for number in range(30)]
    for name in names:
        view.progress(name, HopProgress(1, 1, 10, 0))
    lines = drawn(view, names, capsys, size)
    if size == (40, 5):
        assert [line.split()[0] for line in lines] == ["guest-0", "guest-1", "and", "0"]
        assert lines[2] == "and 28 more"


def test_as_many_as_fit_and_how_many_more(capsys: pytest.CaptureFixture[str]) -> None:
    for guests, more in ((3, 0), (4, 2), (5, 3)):
        lines = drawn(TripsView(9), [f"guest-{n}" for n in range(guests)], capsys, (40, 5))
        assert len(lines) == 4
        assert lines[2] == (f"and {more} more" if more else f"guest-2{' ' * 17}  begins")


@pytest.mark.parametrize(
    ("remaining", "total"), [(0, 0), (5, 3), (-1, 3), (1 << 60, 1), (0, 1), (3, -1)]
)
def test_whatever_libvirt_says(
    capsys: pytest.CaptureFixture[str], remaining: int, total: int
) -> None:
    view = TripsView(1)
    view.progress("a", HopProgress(1, 0, remaining, total))
    assert len(drawn(view, ["a"], capsys)) == 2


def test_names_that_are_wide_or_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns, not letters; and no name moves the cursor."""
    assert clipped("虚拟机", 4) == "虚拟"
    assert clipped("虚拟机", 5) == "虚拟"
    assert clipped("e\u0301e\u0301e\u0301", 2) == "e\u0301e\u0301"
    (line, _) = drawn(TripsView(1), ["a\x1b[2Jb\n"], capsys)
    assert line.startswith("a\\x1b[2Jb\\n ")


@pytest.mark.parametrize("term", ["dumb", None])
def test_no_view_without_a_terminal_that_can(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.delenv("TERM", raising=False)
    if term:
        monkeypatch.setenv("TERM", term)
    assert not draws()
    monkeypatch.setenv("TERM", "xterm")
    assert draws()
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    assert not draws()
