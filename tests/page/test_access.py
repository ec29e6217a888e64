"""Who may look, and what is said where uuidfs cannot do its work."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.page.cockpit import Cockpit, script
from tests.page.conftest import Open

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def test_without_administrative_access_it_says_so_and_runs_nothing(
    serve: Callable[..., Cockpit], open_page: Open, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    cockpit = serve(["touch", str(mark)], around=NOBODY, environment={"HOME": "/nonexistent"})
    page = open_page(cockpit)
    page.has("Limited access")
    page.has("Turn on administrative access at the top of Cockpit's window.")
    page.goto(cockpit.url("trash"))
    page.has("Limited access")
    assert not mark.exists()


def test_what_uuidfs_says_is_shown_as_it_is(
    serve: Callable[..., Cockpit], open_page: Open, tmp_path: Path
) -> None:
    fake = tmp_path / "fake"

    def says(out: str, err: str = "", code: int = 0) -> None:
        (tmp_path / "out").write_text(out)
        (tmp_path / "err").write_text(err)
        lines = f"cat '{tmp_path}/out'; cat '{tmp_path}/err' >&2; exit {code}"
        fake.write_text(f"#!/bin/sh\n{lines}\n")
        fake.chmod(0o755)

    says("", "Traceback: <b>bold</b>\nuuidfs: on fire", 1)
    page = open_page(serve([str(fake)]), "findings")
    page.has("uuidfs has failed with exit status 1")
    page.has("Traceback: <b>bold</b>\nuuidfs: on fire")
    page.has("The command was: uuidfs check --json")
    again = "[data-key='refresh']"
    says(
        json.dumps({"version": 1, "error": "a <i>JSON</i> error", "exit_code": 75}, indent=2),
        "",
        75,
    )
    page.click(again)
    page.has("a <i>JSON</i> error")
    page.has("exit status 75")
    says(json.dumps({"version": 2, "findings": []}))
    page.click(again)
    page.has("uuidfs writes version 2 of its output, and this page reads version 1.")
    says('{"version": 1, "findings": [], "not')
    page.click(again)
    page.has('"not')
    says("")
    page.click(again)
    page.has("It said nothing.")
    findings = {"version": 1, "findings": [], "notices": [], "repaired": [], "new": "field"}
    says(json.dumps(findings), "uuidfs: a warning beside the result", 3)
    page.click(again)
    page.has("All is well")
    says(json.dumps({"version": 1}))
    page.click(again)
    page.has("This page has failed")


def test_where_uuidfs_is_not_installed_it_says_so(
    serve: Callable[..., Cockpit], open_page: Open
) -> None:
    cockpit = serve(["true"])
    (cockpit.work / "bin/uuidfs").unlink()
    page = open_page(cockpit)
    page.has("uuidfs is not installed")
    script(cockpit.work / "bin/uuidfs", ["echo", '{"version": 1, "error": "now it is"}'])
    page.click("[data-key='refresh']")
    page.has("now it is")
