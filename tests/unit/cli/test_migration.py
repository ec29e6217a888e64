"""How local-migrate reads times, and how it shows an operation."""

import json
import os
import time
from collections.abc import Iterator

import pytest

from uuidfs.cli.options import moment
from uuidfs.cli.render import migration
from uuidfs.errors import UsageError
from uuidfs.localmigration.results import (
    BUSY,
    COUNTED,
    FAILED,
    NOT_BEGUN,
    UP_TO_DATE,
    OperationResult,
    TripResult,
)

TRIPS = (
    TripResult("a", "1", 2.0, (20, 31), "host"),
    TripResult("b", "2", outcome=UP_TO_DATE),
    TripResult("c", "3", error="why", outcome=FAILED),
    TripResult("d", "4", error="busy", busy=True, outcome=BUSY),
    TripResult("e", "5", error="not begun", outcome=NOT_BEGUN),
)

RESULT = OperationResult(TRIPS, 1764144505.1239, 72.4, "failures")


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/St_Johns"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    os.environ["TZ"] = "UTC"
    time.tzset()


def test_what_is_printed_is_read_as_no_later(zone: str) -> None:
    """A guest that was moved began later, and stays left out."""
    for epoch in (0.0, 1764144505.1239, 1764144505.9999, time.time()):
        text = migration.moment(epoch)
        assert " " not in text
        assert epoch - 0.0011 <= moment(text) <= epoch + 1e-6
        assert moment(f"@{epoch:.6f}") == pytest.approx(epoch)


def test_a_time_without_an_offset_is_the_hosts(zone: str) -> None:
    epoch = moment("2026-11-26T14:30")
    assert time.strftime("%Y-%m-%d %H:%M", time.localtime(epoch)) == "2026-11-26 14:30"
    assert moment("2026-11-26T14:30+02:00") == moment("2026-11-26T12:30Z")


@pytest.mark.parametrize("text", ["", "@", "@x", "@inf", "@nan", "now", "2026-02-30", "14:30"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="--started-before"):
        moment(text)


def test_a_summary_as_a_table() -> None:
    _, heads, cells = migration.summary_lines(RESULT, dry_run=False)
    assert heads.split("  ")[:6] == [
        *("moved", "up to date", "refused", "busy", "failed", "not begun")
    ]
    assert cells.split() == ["1", "1", "0", "1", "1", "1", "1:12", "min", "31", "ms"]
    _, heads, cells = migration.summary_lines(RESULT, dry_run=True)
    assert heads.startswith("can move  up to date  refused")
    assert cells.split() == ["0", "1", "0", "1", "1", "1"]


def test_a_summary_in_json() -> None:
    whole = json.loads(migration.operation_json(RESULT))
    assert whole["version"] == 1
    assert [one["outcome"] for one in whole["domains"]] == [trip.outcome for trip in TRIPS]
    assert whole["domains"][0]["downtimes"] == [20, 31]
    summary = whole["summary"]
    assert {key: summary[key] for key in COUNTED} == {
        "moved": 1,
        "can_move": 0,
        "up_to_date": 1,
        "refused": 0,
        "busy": 1,
        "failed": 1,
        "not_begun": 1,
    }
    assert (summary["stopped"], summary["longest_downtime"]) == ("failures", 31)
    whole = json.loads(migration.operation_json(OperationResult((), 1.0, 0.0)))
    assert (whole["summary"]["stopped"], whole["summary"]["longest_downtime"]) == (None, None)


def test_what_to_do_after_an_early_end() -> None:
    (line,) = migration.stopped_lines(RESULT, resumes=False)
    when = migration.moment(RESULT.began)
    assert (
        line == f"uuidfs: 1 guest not begun; to go on, run this again with --started-before {when}"
    )
    (line,) = migration.stopped_lines(RESULT, resumes=True)
    assert line == "uuidfs: 1 guest not begun; to go on, run this again"
    assert migration.stopped_lines(RESULT._replace(trips=TRIPS[:4]), resumes=False) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1:00 min"),
        (3599.4, "59:59 min"),
        (3599.6, "1:00:00 h"),
        (7265, "2:01:05 h"),
    ],
)
def test_a_length_of_time(seconds: float, text: str) -> None:
    assert migration.clock(seconds) == text
