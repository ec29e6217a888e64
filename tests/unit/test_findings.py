"""Findings in words: every step has some, and commands take every name."""

import os
import subprocess

import pytest

from tests.support.trees import awkward_names, uuid_for
from uuidfs.findings import quoted, to_do
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind
from uuidfs.layout.trash_label import Reason
from uuidfs.plan.steps import Op, Step

LAYOUT = system("/nowhere")


@pytest.mark.parametrize("op", Op)
def test_every_step_is_told_in_words_with_the_command(op: Op) -> None:
    step = Step(op, Kind.CONFIG, uuid_for("web"), entry="web.xml", store_entry="x.xml")
    found = to_do(LAYOUT, step, "web")
    assert found.problem
    assert found.advice == f"run: {found.command}"
    assert found.name == "web"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_to_trash_a_file_is_told(reason: Reason) -> None:
    step = Step(Op.TRASH, Kind.CONFIG, uuid_for("web"), store_entry="x.xml", reason=reason)
    assert to_do(LAYOUT, step, None).problem.endswith("; it belongs in the trash")


def test_a_shell_reads_the_name_that_was_meant() -> None:
    names = (*awkward_names(), "\x1b[31m'red'\\", "a\u202eb", "caf\udce9")
    for name in names:
        done = subprocess.run(
            ["bash", "-c", f"printf %s {quoted(name)}"],
            capture_output=True,
            check=True,
            env={"LC_ALL": "C.UTF-8"},
        )
        assert done.stdout == os.fsencode(name), name
        assert quoted(name).isprintable()
