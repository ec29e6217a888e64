"""Views of one domain's firmware, and what is planned for them."""

import stat
from typing import Any

import pytest

from uuidfs.files.entry import Entry
from uuidfs.firmware.names import Firmware
from uuidfs.firmware.plan import Mode, Op, Plan, plan_convert, plan_revert
from uuidfs.firmware.view import Back, File, Twin, View
from uuidfs.layout.places import Place

ME = "10000000-aaaa-4bbb-8ccc-dddddddddddd"
OTHER = "20000000-aaaa-4bbb-8ccc-dddddddddddd"
NVRAM = "/nvram"
OWN = f"{ME}_VARS.fd"


def inode(number: int, form: int = stat.S_IFREG) -> Entry:
    return Entry(form, 1, number, 0, 2)


MINE, ELSE = inode(1), inode(2)


def file(entry: str = "alpha_VARS.fd", at: Entry | None = MINE, **more: Any) -> File:
    """The file of beta, which was alpha."""
    made = File(
        Firmware.NVRAM, Place(NVRAM), f"{NVRAM}/{entry}", entry, OWN, f"{NVRAM}/{OWN}", False, at,
        at if entry == OWN else None,
    )  # fmt: skip
    return made._replace(**more)


def view(*files: File, running: bool = False, persistent: bool = True) -> View:
    return View(ME, "beta", running, persistent, files)


def told(plan: Plan) -> list[str]:
    return [f"{step.op.value} {step.entry}" for step in plan.steps]


ALL = ["link alpha_VARS.fd", "define alpha_VARS.fd", "remove alpha_VARS.fd"]
DEFINE = ["define alpha_VARS.fd"]
NOTED: dict[str, Any] = {"owner": ME, "kept": MINE}
SHARED: dict[str, Any] = {"others": ("gamma",)}
TWIN = Twin("delta_VARS.fd", MINE, is_open=False)


@pytest.mark.parametrize(
    ("one", "steps"),
    [
        pytest.param(file(), ALL, id="renamed"),
        pytest.param(file(**NOTED), ALL, id="renamed and noted"),
        pytest.param(file(at=None), DEFINE, id="never made"),
        pytest.param(file("beta_VARS.fd"), [], id="its own name"),
        pytest.param(file(OWN), [], id="done"),
        pytest.param(file(OWN, at=None), [], id="done and never started"),
        pytest.param(file(at_own=MINE), ALL[1:], id="killed after the link"),
        pytest.param(file(OWN, twins=(TWIN,)), ["remove delta_VARS.fd"], id="killed at the end"),
        pytest.param(
            file(OWN, twins=(TWIN._replace(is_open=True),)), [], id="another one runs with a twin"
        ),
        pytest.param(
            file("beta_VARS.fd", twins=(TWIN,)),
            ["link beta_VARS.fd", "define beta_VARS.fd", "remove beta_VARS.fd",
             "remove delta_VARS.fd"],
            id="started since the rename",
        ),
        pytest.param(file(**NOTED, **SHARED), ALL, id="another one names it, and it is mine"),
        pytest.param(
            file(**NOTED, **SHARED, open_by=("gamma",), is_open=True),
            ALL[:2],
            id="another one runs with mine",
        ),
        pytest.param(file(**SHARED, others_fresh=True), ALL, id="another one never ran"),
        pytest.param(
            file(owner=OTHER, kept=ELSE),
            ["bring alpha_VARS.fd", *DEFINE],
            id="a stranger's, and mine was deleted",
        ),
        pytest.param(file(owner=OTHER, at_own=ELSE, kept=ELSE), DEFINE, id="a stranger's"),
        pytest.param(file(owner=OTHER), DEFINE, id="a stranger's, and mine was never made"),
        pytest.param(
            file("beta_VARS.fd", owner=OTHER, kept=ELSE, renamed=True), [], id="not concerned"
        ),
        pytest.param(
            file(at=None, kept=MINE), ["bring alpha_VARS.fd", *DEFINE], id="deleted by another one"
        ),
        pytest.param(file("beta_VARS.fd", at=None, kept=MINE), [], id="removed by a person"),
        pytest.param(
            file("beta_VARS.fd", at=None, kept=MINE, renamed=True),
            ["bring beta_VARS.fd", "define beta_VARS.fd"],
            id="deleted under the former name",
        ),
        pytest.param(file(at=ELSE, at_own=MINE, kept=MINE, **SHARED), DEFINE, id="made anew"),
    ],
)  # fmt: skip
def test_a_domain_that_is_off_is_brought_to_its_uuid(one: File, steps: list[str]) -> None:
    plan = plan_convert(view(one), Mode.RENAMED)
    assert (told(plan), plan.problem) == (steps, None)


@pytest.mark.parametrize(
    ("one", "running", "problem"),
    [
        (file(**SHARED), False, "'gamma' has the same path, and nothing tells whose the file is"),
        (file(at=ELSE, at_own=MINE), False, "may have used this file since"),
        (file(at=ELSE, at_own=MINE, kept=MINE), False, "may have used this file since"),
        (file(at=ELSE, at_own=MINE, owner=ME), False, "may have used this file since"),
        (file(**NOTED, **SHARED, open_by=("gamma",)), True, "'gamma' has it open, too"),
        (file(at=inode(3, stat.S_IFLNK)), False, "alpha_VARS.fd is a symlink"),
        (file(at=inode(3, stat.S_IFIFO)), False, "alpha_VARS.fd is a fifo"),
        (file(at_own=inode(3, stat.S_IFDIR)), False, f"{OWN} is a directory"),
    ],
)
def test_in_doubt_nothing_is_done_and_the_reason_told(
    one: File, running: bool, problem: str
) -> None:
    plan = plan_convert(view(one, running=running), Mode.ALL)
    assert plan.steps == ()
    assert plan.problem is not None
    assert problem in plan.problem


def test_while_it_runs_no_name_goes() -> None:
    """Of those that it was started with."""
    open_twin = TWIN._replace(is_open=True)
    one = file(is_open=True, twins=(open_twin,))
    assert told(plan_convert(view(one, running=True), Mode.RENAMED)) == ALL[:2]
    one = file(OWN, twins=(open_twin,))
    assert told(plan_convert(view(one, running=True), Mode.RENAMED)) == []


@pytest.mark.parametrize(
    ("mode", "entry", "steps"),
    [
        (Mode.OFF, "alpha_VARS.fd", 0),
        (Mode.OFF, "beta_VARS.fd", 0),
        (Mode.RENAMED, "alpha_VARS.fd", 3),
        (Mode.RENAMED, "beta_VARS.fd", 0),
        (Mode.ALL, "beta_VARS.fd", 3),
        (Mode.ALL, "alpha_VARS.fd", 3),
    ],
)
def test_the_mode_says_whose_definitions_are_changed(mode: Mode, entry: str, steps: int) -> None:
    assert len(plan_convert(view(file(entry)), mode).steps) == steps


def test_a_transient_domain_has_no_definition() -> None:
    assert plan_convert(view(file(), running=True, persistent=False), Mode.ALL).steps == ()
    assert plan_revert(view(file(OWN), running=True, persistent=False)).steps == ()


def test_a_problem_with_one_file_does_not_keep_the_other_one() -> None:
    pstore = file("alpha_PSTORE.raw")._replace(kind=Firmware.PSTORE, own=f"{ME}_PSTORE.raw")
    plan = plan_convert(view(file(**SHARED), pstore), Mode.RENAMED)
    assert [step.kind for step in plan.steps] == [Firmware.PSTORE] * 3
    assert plan.problem is not None


BACK = Back("beta_VARS.fd", f"{NVRAM}/beta_VARS.fd", None, is_linked=False)


@pytest.mark.parametrize(
    ("one", "running", "steps"),
    [
        (file(OWN, back=BACK), False, ["link", "define", "remove"]),
        (file(OWN, back=BACK, is_open=True), True, ["link", "define"]),
        (file(OWN, back=BACK._replace(is_linked=True)), False, ["define", "remove"]),
        (file(OWN, at=None, back=BACK), False, ["define"]),
        (file(back=BACK), False, []),
        (file(back=BACK, at_own=MINE), False, ["remove"]),
        (file(back=BACK, at_own=MINE), True, []),
        (file(back=BACK, at_own=ELSE), False, []),
    ],
)
def test_revert_goes_back_to_the_domains_name(one: File, running: bool, steps: list[str]) -> None:
    plan = plan_revert(view(one, running=running))
    assert ([step.op.value for step in plan.steps], plan.problem) == (steps, None)
    removed = [step for step in plan.steps if step.op is Op.REMOVE]
    assert all(step.entry == OWN and step.own != OWN for step in removed)


def test_revert_refuses_what_is_taken() -> None:
    plan = plan_revert(view(file(OWN, back=BACK._replace(taken="it is of 'gamma'"))))
    assert plan.steps == ()
    assert plan.problem == f"{NVRAM}/{OWN}: it is of 'gamma'"


def test_every_step_says_what_it_does() -> None:
    steps = plan_convert(view(file(), file(at=None, kept=MINE)), Mode.ALL).steps
    assert {step.op for step in steps} == set(Op)
    assert all("_VARS.fd" in step.describe() for step in steps)
