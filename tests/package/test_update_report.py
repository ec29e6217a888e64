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


def result(name: str, error: str | None = None, **more: object) -> dict[str, Any]:
    """One of local-migrate's results: after an error it has no UUID."""
    uuid = "" if error else f"uuid-{name}"
    known = {"seconds": 2.0, "downtimes": [20, 21], "where": "host", "busy": False}
    return {"name": name, "uuid": uuid, "error": error, **known, **more}


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
    found = report(
        "a",
        "b",
        "c",
        "d",
        "e",
        looked=7,
        planned=[result("a"), result("b"), result("c", "c cannot move: gpu"), result("d")],
        trips=[
            [
                result("a"),
                result("uuid-b", "hop 1 failed"),
                result("c", "c cannot move: gpu"),
            ]
        ],
    )
    assert names(found, "moved") == ["a"]
    assert names(found, "failed") == ["b"], "a result by UUID gets its name"
    assert found["refused"] == [{"name": "c", "uuid": "uuid-c", "reason": "c cannot move: gpu"}]
    assert names(found, "not_begun") == ["d"]
    assert found["up_to_date"] == 3, "e was shut off meanwhile"
    assert found["state"] == "failed"
    assert found["summary"] == "1 moved, 1 cannot move, 1 failed, 1 not begun, 3 up to date"


def test_what_has_moved_stays_moved_when_others_are_tried_again() -> None:
    attempts = [[result("a"), result("b", "busy", busy=True)], [result("b")]]
    found = report("a", "b", planned=[result("a"), result("b")], trips=attempts)
    assert names(found, "moved") == ["a", "b"]
    assert found["state"] == "moved"


@pytest.mark.parametrize("refused", [True, False])
def test_what_uuidfs_says_itself_of_a_refusal_counts(refused: bool) -> None:
    trips = [[result("a", "no room", refused=refused)]]
    found = report("a", planned=[result("a")], trips=trips)
    assert names(found, "refused" if refused else "failed") == ["a"]
    assert found["state"] == ("cannot move" if refused else "failed")


def test_refused_guests_fail_a_host_only_where_that_is_asked_for() -> None:
    planned = [result("a", "a cannot move: gpu")]
    assert report("a", planned=planned)["state"] == "cannot move"
    assert report("a", planned=planned, refused_fails=True)["state"] == "failed"


def test_check_mode_tells_and_fails_nothing() -> None:
    planned = [result("a"), result("b", "busy", busy=True), result("c", "c cannot move")]
    found = report("a", "b", "c", check=True, planned=planned)
    assert [names(found, kind) for kind in ("would_move", "busy", "refused")] == [
        ["a"],
        ["b"],
        ["c"],
    ]
    assert found["state"] == "would move"


def test_an_error_of_the_host_is_in_the_summary() -> None:
    found = report(looked=0, error="the host cannot be reached")
    assert (found["state"], found["summary"]) == ("failed", "the host cannot be reached")


def test_a_guests_name_writes_no_line_and_no_colour() -> None:
    found = report("a\n\x1b[31mhv2: all well", planned=[result("a\n\x1b[31mhv2: all well")])
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
