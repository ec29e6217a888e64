"""ENOSPC, EIO and EACCES at every mutating system call: a clear error, and nothing lost."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import pytest

from tests.crash import scenarios
from tests.crash.harness import (
    FULL,
    MUTATING,
    WORKERS,
    Outcome,
    Point,
    copied,
    injected,
    report,
    run,
)
from tests.crash.scenarios import Scenario
from tests.crash.test_kill import finished, undisturbed
from tests.support.trees import Host
from tests.support.truth import lost, unconverted

pytestmark = pytest.mark.crash

ERRORS = ("ENOSPC", "EIO", "EACCES")
FAILED, FOUND = 1, 3
# Calls for what all domains share (store and lock directories, the last sync): their failure
# may stop more than one domain.
SHARED = {"mkdirat", "mkdir", "fchmod", "fchown", "fsync", "openat"}

# (scenario, every how manieth point without UUIDFS_FULL_MATRIX=1); then each chosen point
# gets one of the errors, in turn. With it, every point gets every error.
MATRICES: tuple[tuple[Callable[[Path], Scenario], int], ...] = (
    (scenarios.first_convert, 2),
    (scenarios.mixed, 4),
    (scenarios.reverted, 3),
    (scenarios.hooked, 2),
    (scenarios.without_exchange, 6),
    (scenarios.repaired, 9),
    (scenarios.settled, 5),
)


@pytest.mark.parametrize(
    ("make", "stride"), MATRICES, ids=lambda value: getattr(value, "__name__", "")
)
def test_an_error_of_any_system_call_is_told_in_a_line_and_the_other_domains_go_on(
    make: Callable[[Path], Scenario], stride: int, tmp_path: Path
) -> None:
    scenario = make(tmp_path / "templates")
    found = undisturbed(scenario, tmp_path)
    if scenario.name == "without exchange":
        found = [point for point in found if point.syscall != "renameat2"]  # fails already
    chosen = (
        [(point, error) for point in found for error in ERRORS]
        if FULL
        else list(zip(found[::stride], cycle(ERRORS), strict=False))
    )
    with ThreadPoolExecutor(WORKERS) as pool:
        results = pool.map(lambda each: failed_at(scenario, each[0], each[1], tmp_path), chosen)
        failures = {
            f"{error} at {point}": problems
            for (point, error), problems in zip(chosen, results, strict=True)
            if problems
        }
    print(f"{scenario.name}: {len(chosen)} errors at {len(found)} points")
    if failures:
        pytest.fail(report(failures), pytrace=False)


def failed_at(scenario: Scenario, point: Point, error: str, parent: Path) -> list[str]:
    """Fail one call of one run; returns what is wrong then, and after the next run."""
    with copied(scenario.template, parent) as root:
        host = Host(root)
        truth = scenario.truth(host)
        done = run(scenario.command(root), (f"{point.syscall}:error={error}:when={point.nth}",))
        problems = ["the error did not happen"] if not injected(done.trace, kill=False) else []
        problems += judge(scenario, done)
        problems += [f"after the error: {each}" for each in lost(host, truth, scenario.moved)]
        left = unconverted(host, scenario.bindings)
        if scenario.converted and point.syscall not in SHARED and len(left) > 1:
            problems.append(f"one call failed and {sorted(left)} were not converted")
        if not scenario.hook and done.code == 0:
            problems += [f"exit 0, but {each}" for each in finished(scenario, host, truth)]
            if point.syscall == "fsync":
                problems.append("exit 0, but the directory was not synced")
        again = run(scenario.command(root))
        if again.code != 0 or again.traceback:
            problems.append(f"the second run: exit {again.code}, {again.err}")
        return problems + [
            f"after the second run: {each}" for each in finished(scenario, host, truth)
        ]


def judge(scenario: Scenario, done: Outcome) -> list[str]:
    """How a run that met an error has to end."""
    if done.traceback:
        return [f"a traceback: {done.err[-600:]}"]
    if scenario.hook:
        return (
            [f"the hook: exit {done.code}, stdout {done.out!r}"] if (done.code or done.out) else []
        )
    codes = {0, FAILED, FOUND} if scenario.repair else {0, FAILED}
    if done.code not in codes:
        return [f"exit {done.code}: {done.err[-300:]}"]
    lines = done.err.strip().splitlines()
    said = lines + (done.out.splitlines() if scenario.repair else [])  # its findings
    if done.code and not any(re.search(r"cannot .+: .+", line) for line in said):
        return [f"no clear line: {done.err[-300:]!r}"]
    if len(lines) > len(scenario.bindings) + 1:
        return [f"{len(lines)} lines for one error: {lines}"]
    return []


@pytest.mark.parametrize("error", [*ERRORS, "EROFS"])
def test_a_disk_that_refuses_every_change_leaves_everything_as_it_was(
    error: str, tmp_path: Path
) -> None:
    scenario = scenarios.first_convert(tmp_path / "templates")
    changing = tuple(call for call in MUTATING if not call.endswith("sync"))
    with copied(scenario.template, tmp_path) as root:
        host = Host(root)
        truth = scenario.truth(host)
        done = run(scenario.command(root), (f"{','.join(changing)}:error={error}",))
        assert injected(done.trace, kill=False)
        assert done.code == FAILED, done.err
        assert judge(scenario, done) == []
        assert lost(host, truth) == []
        assert unconverted(host, scenario.bindings) == set(scenario.bindings)
        assert run(scenario.command(root)).code == 0
        assert finished(scenario, host, truth) == []
