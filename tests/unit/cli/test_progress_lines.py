"""local-migrate --json --progress: what programs read while guests move."""

import json
import os
from typing import Any

import pytest

from tests.support.process import uuidfs
from uuidfs.cli.progress_lines import ProgressLines
from uuidfs.cli.render.migration import operation_json, result_line
from uuidfs.localmigration.hop import HopProgress
from uuidfs.localmigration.results import Guest, OperationResult, TripResult

WEB = Guest("web", "web\n\x1b", "1" * 36)
DB = Guest("db", "db", "2" * 36)


def read(lines: list[str]) -> list[dict[str, Any]]:
    """Asserts that each is one line, and an object with the version."""
    found = [json.loads(line) for line in lines]
    assert not any("\n" in line for line in lines)
    assert all(one.pop("version") == 1 for one in found)
    return found


def test_a_line_for_each_guest_of_which_there_is_something_new() -> None:
    lines = ProgressLines()
    assert read(lines.begun(2)) == [{"event": "begun", "pid": os.getpid(), "guests": 2}]
    first, second = read(lines.lines([WEB, DB], 3))
    assert first["name"] == WEB.name
    assert (second["uuid"], second["way"], second["waiting"]) == (DB.uuid, "begins", 3)
    assert lines.lines([WEB, DB], 3) == []
    lines.progress(WEB.name, HopProgress(1, 10, 20, 30))
    (only,) = read(lines.lines([WEB, DB], 3))
    assert only == {
        "event": "progress",
        "name": WEB.name,
        "uuid": WEB.uuid,
        "way": "out",
        "waiting": 3,
        "transferred": 10,
        "remaining": 20,
        "total": 30,
        "downtime": None,
    }
    lines.progress(WEB.name, HopProgress(2, 30, 0, 30, 21))
    (only,) = read(lines.lines([WEB], 3))
    assert (only["way"], only["downtime"]) == ("home", 21)
    (ended,) = read(lines.ended(TripResult(WEB.name, WEB.uuid, 1.5, (20, 21), "host")))
    assert ended["event"] == "ended"
    assert ended["domain"]["downtimes"] == [20, 21]


def test_the_last_line_has_all_that_json_has_without_it() -> None:
    result = OperationResult((TripResult("web", "1" * 36, 1.5, (20, 21), "host"),), 17.0, 1.6)
    whole = json.loads(operation_json(result))
    assert json.loads(result_line(result)) == {**whole, "event": "result"}


@pytest.mark.parametrize("words", [["--progress"], ["--progress", "--json", "--recover"]])
def test_it_is_refused_where_it_says_nothing(words: list[str]) -> None:
    """Also to who is not root: wrong words come first."""
    said = uuidfs(None, "local-migrate", "--all", *words)
    assert said.code == 2
    assert "--progress is for moves with --json" in said.err + said.out


@pytest.mark.parametrize("words", [["--outdated"], ["--started-before", "now"]])
def test_who_finishes_trips_chooses_no_guests_by_age(words: list[str]) -> None:
    said = uuidfs(None, "local-migrate", "--recover", *words)
    assert said.code == 2
    assert f"--recover finishes every trip: leave {words[0]} out" in said.err + said.out
