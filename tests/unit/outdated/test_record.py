"""What the last look found, as the metrics have it."""

import os
from pathlib import Path

import pytest

from tests.support.guests import guest, live_layout
from uuidfs.convert.results import RunResult
from uuidfs.errors import Refused
from uuidfs.layout.places import Layout
from uuidfs.outdated import Looked, Outdated, record
from uuidfs.reconcile import full_pass
from uuidfs.reconcile.full_pass import FullPass
from uuidfs.reconcile.interface import Listener
from uuidfs.reconcile.tally import Tally
from uuidfs.runtime.reconciler_state import ReconcilerState


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A live layout below the test's directory."""
    return live_layout(tmp_path)


def file(layout: Layout) -> Path:
    return Path(layout.locks.parent.path) / "outdated.json"


def test_a_guest_counts_as_long_as_its_process_lives(layout: Layout) -> None:
    assert record.read(layout) is None
    with guest(layout, "a", "/bin/cat") as process:
        one = Outdated("a", "", process.pid, ())
        gone = Outdated("b", "", os.getpid(), ())  # a number that is a stranger's by now
        record.write(layout, Looked((one, gone), 2, ()))
        found = record.read(layout)
        assert found is not None
        assert found.guests == (("a", process.pid),)
        assert found.unknown == 0
    found = record.read(layout)
    assert found is not None
    assert found.guests == ()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"looked": 1, "guests": 5, "unknown": 0}',
     '{"looked": null, "guests": [], "unknown": 0}', '{"looked": 1, "guests": [1], "unknown": 0}'],
)  # fmt: skip
def test_a_damaged_record_is_refused(layout: Layout, text: str) -> None:
    record.write(layout, Looked((), 0, ()))
    file(layout).write_text(text)
    with pytest.raises(Refused, match="no record of outdated guests"):
        record.read(layout)


def test_no_name_leads_out_of_the_directory(layout: Layout) -> None:
    record.write(layout, Looked((Outdated("../../a", "", 1, ()),), 1, ()))
    found = record.read(layout)
    assert found is not None
    assert found.guests == ()


def test_the_reconciler_has_somebody_look_once_an_hour(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def look() -> None:
        looks.append(1)
        record.write(layout, Looked((), 0, ()))

    listener = Listener(
        lambda *_: None, lambda *_: None, lambda _: None, lambda _: None, outdated=look
    )
    full = FullPass(layout, Tally(listener))
    result, state = RunResult("convert", layout, ()), ReconcilerState(1, 2.0)
    for _ in range(3):
        assert full.figures(result, state).outdated is not None
    assert len(looks) == 1
    monkeypatch.setattr(full_pass, "OUTDATED", 0.0)
    full.figures(result, state)
    assert len(looks) == 2
    file(layout).write_text("damaged")
    monkeypatch.setattr(full_pass, "OUTDATED", 3600.0)
    assert full.figures(result, state).outdated is None, "one figure less, and no more"
