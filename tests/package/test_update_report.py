"""The report of the collection's update_qemu: what uuidfs said becomes a fate for each guest."""

import importlib.util
import json
from typing import Any

import pytest

from tests.support.process import REPOSITORY
from uuidfs.cli.render.migration import operation_json
from uuidfs.localmigration.results import (
    BUSY,
    CAN_MOVE,
    COUNTED,
    FAILED,
    MOVED,
    NOT_BEGUN,
    REFUSED,
    UP_TO_DATE,
    OperationResult,
    TripResult,
)

PLUGIN = REPOSITORY / "packaging/ansible/plugins/filter/update.py"


def filters() -> dict[str, Any]:
    """As Ansible loads them."""
    spec = importlib.util.spec_from_file_location("update", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.FilterModule().filters()
    return found


def result(name: str, outcome: str, error: str | None = None) -> dict[str, Any]:
    """One of local-migrate's results, with all that it has."""
    trip = TripResult(name, f"uuid-{name}", error=error, busy=outcome == BUSY, outcome=outcome)
    if outcome == MOVED:
        trip = trip._replace(seconds=2.0, downtimes=(20, 21), where="host")
    found: dict[str, Any] = json.loads(operation_json(OperationResult((trip,), 0.0, 0.0)))
    assert found["domains"][0]["outcome"] == outcome
    domain: dict[str, Any] = found["domains"][0]
    return domain


def report(*attempts: list[dict[str, Any]], **said: Any) -> dict[str, Any]:
    """A host's report of what each attempt said."""
    known = {"check": False, "refused_fails": False, "error": "", "trips": list(attempts)}
    made: dict[str, Any] = filters()["update_report"]({**known, **said})
    return made


def names(found: dict[str, Any], kind: str) -> list[str]:
    return [guest["name"] for guest in found[kind]]


def test_each_guest_is_told_by_its_outcome() -> None:
    found = report(
        [
            result("d", NOT_BEGUN, "not begun: 1 trip has failed"),
            result("a", MOVED),
            result("b", FAILED, "hop 1 failed"),
            result("c", REFUSED, "c cannot move: gpu"),
            result("e", UP_TO_DATE),
            result("f", UP_TO_DATE),
        ]
    )
    assert found["moved"] == [
        {"name": "a", "uuid": "uuid-a", "seconds": 2.0, "downtimes": [20, 21]}
    ]
    assert found["failed"] == [{"name": "b", "uuid": "uuid-b", "reason": "hop 1 failed"}]
    assert found["refused"] == [{"name": "c", "uuid": "uuid-c", "reason": "c cannot move: gpu"}]
    assert found["not_begun"] == [{"name": "d", "uuid": "uuid-d", "reason": "1 trip has failed"}]
    assert found["up_to_date"] == 2
    assert found["state"] == "failed"
    assert found["summary"] == "1 moved, 1 cannot move, 1 failed, 1 not begun, 2 up to date"


def test_every_outcome_of_an_operation_has_its_place() -> None:
    for outcome in COUNTED:
        assert report([result("a", outcome, "e")])[outcome], outcome


def test_guests_that_are_up_to_date_have_not_moved() -> None:
    found = report([result("a", UP_TO_DATE), result("b", UP_TO_DATE)])
    assert (found["state"], found["summary"]) == ("up to date", "2 up to date")
    assert found["moved"] == []


def test_what_has_moved_stays_moved_when_others_are_tried_again() -> None:
    first = [result("a", MOVED), result("b", BUSY, "busy"), result("c", BUSY, "busy")]
    second = [result("a", UP_TO_DATE), result("b", MOVED)]
    found = report(first, second)
    assert names(found, "moved") == ["a", "b"]
    assert found["busy"] == [], "c was shut off meanwhile"
    assert found["up_to_date"] == 0
    assert found["state"] == "moved"


def test_a_second_trip_of_a_guest_that_fails_is_told() -> None:
    """Its QEMU was replaced once more between the attempts."""
    found = report([result("a", MOVED)], [result("a", FAILED, "hop 1 failed")])
    assert names(found, "failed") == ["a"]
    assert found["moved"] == []


def test_refused_guests_fail_a_host_only_where_that_is_asked_for() -> None:
    refused = [result("a", REFUSED, "a cannot move: gpu")]
    assert report(refused)["state"] == "cannot move"
    assert report(refused, refused_fails=True)["state"] == "failed"


def test_busy_guests_fail_no_check_but_failures_do() -> None:
    planned = [
        result("a", CAN_MOVE),
        result("b", BUSY, "busy"),
        result("c", REFUSED, "c cannot move"),
        result("d", UP_TO_DATE),
    ]
    found = report(planned, check=True)
    assert [names(found, kind) for kind in (CAN_MOVE, BUSY, REFUSED)] == [["a"], ["b"], ["c"]]
    assert found["state"] == "would move"
    assert found["summary"] == "1 would move, 1 cannot move, 1 busy, 1 up to date"
    assert report([result("b", BUSY, "busy")])["state"] == "failed"
    failed = [*planned, result("e", FAILED, "no answer")]
    assert report(failed, check=True)["state"] == "failed"


def test_an_error_of_the_host_is_in_the_summary() -> None:
    found = report(error="the host cannot be reached")
    assert (found["state"], found["summary"]) == ("failed", "the host cannot be reached")


def test_a_guests_name_writes_no_line_and_no_colour() -> None:
    found = report([result("a\n\x1b[31mhv2: all well", NOT_BEGUN, "not begun: interrupted")])
    fleet = filters()["fleet_report"]({"hv1": found, "hv2": {}}, False)
    lines = filters()["report_lines"](fleet, ["hv1", "hv2"])
    assert lines == [
        "hv1: 1 not begun, 0 up to date",
        "    not begun: a\\n\\x1b[31mhv2: all well: interrupted",
        "hv2: not reached",
        "2 hosts: 1 failed, 1 not reached",
    ]
    assert fleet["version"] == 1


def test_a_conversion_is_told_file_by_file() -> None:
    domain = {"name": "a", "uuid": "u", "changed": ["/a.xml"], "steps": ["move: x"], "error": None}
    broken: dict[str, Any] = {
        "name": None,
        "uuid": "u",
        "changed": [],
        "steps": [],
        "error": "busy\n",
    }
    run = {"action": "convert", "dry_run": True, "domains": [domain, broken], "problems": []}
    lines = filters()["run_lines"]
    assert lines(run) == ["would convert a: move: x", "u: busy\\n"]
    problems = [{"path": "/p", "reason": "r"}]
    assert lines({**run, "dry_run": False, "domains": [domain], "problems": problems}) == [
        "a: /a.xml",
        "/p: r",
    ]


@pytest.mark.parametrize(
    ("results", "text"),
    [
        ([{"stdout": '{"version": 1, "error": "e", "exit_code": 2}', "stderr": "x"}], "e"),
        ([{"stdout": "Traceback", "stderr": "No such command 'outdated'.\n"}], "No such command"),
        ([{"stdout": "[]", "msg": "m"}], "m"),
        ([{"stdout": "", "stderr": "", "rc": -9, "msg": "m"}], "code -9"),
        ([{}], "failed"),
        ([{"unreachable": True, "msg": "timed out"}, {"msg": "undefined"}], "timed out"),
    ],
)
def test_why_a_task_failed(results: list[dict[str, object]], text: str) -> None:
    assert text in filters()["failure_text"](results)
