"""The report of the collection's update_qemu: what uuidfs said becomes a fate for each guest."""

import importlib.util
from typing import Any

import pytest

from tests.support.process import REPOSITORY

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
    """One of local-migrate's results; of a name that nobody knows it has no UUID."""
    known = {"seconds": 2.0, "downtimes": [20, 21], "where": "host", "busy": outcome == "busy"}
    uuid = "" if name.startswith("uuid-") else f"uuid-{name}"
    return {"name": name, "uuid": uuid, "outcome": outcome, "error": error, **known}


def report(*outdated: str, looked: int = 5, **said: Any) -> dict[str, Any]:
    """A host's report; ``outdated`` are names."""
    guests = [{"name": name, "uuid": f"uuid-{name}"} for name in outdated]
    known = {"check": False, "refused_fails": False, "error": "", "planned": [], "trips": []}
    made: dict[str, Any] = filters()["update_report"](
        {**known, "looked": looked, "outdated": guests, **said}
    )
    return made


def names(found: dict[str, Any], kind: str) -> list[str]:
    return [guest["name"] for guest in found[kind]]


def test_each_guest_has_one_fate() -> None:
    planned = [result(name, "can_move") for name in "abdf"]
    refusal = result("c", "refused", "c cannot move: gpu")
    found = report(
        *"abcdef",
        looked=8,
        planned=[*planned, refusal],
        trips=[
            [
                result("a", "moved"),
                result("uuid-b", "failed", "hop 1 failed"),
                refusal,
                result("d", "not_begun", "not begun: 1 has failed"),
                result("f", "up_to_date"),
            ]
        ],
    )
    assert names(found, "moved") == ["a"]
    assert names(found, "failed") == ["b"], "a result by UUID gets its name"
    assert found["refused"] == [{"name": "c", "uuid": "uuid-c", "reason": "c cannot move: gpu"}]
    assert names(found, "not_begun") == ["d"]
    assert found["up_to_date"] == 4, "e was shut off meanwhile, and f moved by others"
    assert found["state"] == "failed"
    assert found["summary"] == "1 moved, 1 cannot move, 1 failed, 1 not begun, 4 up to date"


def test_what_has_moved_stays_moved_when_others_are_tried_again() -> None:
    attempts = [
        [result("a", "moved"), result("b", "busy", "busy")],
        [result("a", "up_to_date"), result("b", "moved")],
    ]
    planned = [result("a", "can_move"), result("b", "can_move")]
    found = report("a", "b", planned=planned, trips=attempts)
    assert names(found, "moved") == ["a", "b"]
    assert found["state"] == "moved"


def test_a_guest_that_was_never_tried_is_not_begun() -> None:
    found = report("a", planned=[result("a", "can_move")])
    assert names(found, "not_begun") == ["a"]
    assert found["state"] == "failed"


def test_refused_guests_fail_a_host_only_where_that_is_asked_for() -> None:
    planned = [result("a", "refused", "a cannot move: gpu")]
    assert report("a", planned=planned)["state"] == "cannot move"
    assert report("a", planned=planned, refused_fails=True)["state"] == "failed"


def test_check_mode_tells_and_fails_nothing() -> None:
    planned = [
        result("a", "can_move"),
        result("b", "busy", "busy"),
        result("c", "refused", "c cannot move"),
        result("d", "up_to_date"),
    ]
    found = report(*"abcd", check=True, planned=planned)
    kinds = ("would_move", "busy", "refused")
    assert [names(found, kind) for kind in kinds] == [["a"], ["b"], ["c"]]
    assert found["state"] == "would move"


def test_an_error_of_the_host_is_in_the_summary() -> None:
    found = report(looked=0, error="the host cannot be reached")
    assert (found["state"], found["summary"]) == ("failed", "the host cannot be reached")


def test_a_guests_name_writes_no_line_and_no_colour() -> None:
    found = report(
        "a\n\x1b[31mhv2: all well", planned=[result("a\n\x1b[31mhv2: all well", "can_move")]
    )
    fleet = filters()["fleet_report"]({"hv1": found, "hv2": {}}, False)
    lines = filters()["report_lines"](fleet, ["hv1", "hv2"])
    assert lines == [
        "hv1: 1 not begun, 4 up to date",
        "    not begun: a\\n\\x1b[31mhv2: all well",
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
        ([{}], "failed"),
        ([{"unreachable": True, "msg": "timed out"}, {"msg": "undefined"}], "timed out"),
    ],
)
def test_why_a_task_failed(results: list[dict[str, object]], text: str) -> None:
    assert text in filters()["failure_text"](results)
