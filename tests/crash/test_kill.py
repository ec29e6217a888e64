"""SIGKILL at every mutating system call, then a second run (promises P2, P4 and P6)."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash import scenarios
from tests.crash.harness import FULL, WORKERS, Point, copied, injected, points, report, run
from tests.crash.scenarios import Scenario
from tests.support.trees import Host
from tests.support.truth import Fact, broken_promises, lost

pytestmark = pytest.mark.crash

# Without UUIDFS_FULL_MATRIX=1 every STRIDE-th point of the longer matrices is taken; the
# first conversion, where all files of a host are moved, is complete in every run.
MATRICES: tuple[tuple[Callable[[Path], Scenario], int], ...] = (
    (scenarios.first_convert, 1),
    (scenarios.mixed, 2),
    (scenarios.reverted, 2),
    (scenarios.hooked, 1),
    (scenarios.without_exchange, 4),
    (scenarios.mixed_without_exchange, 7),
    (scenarios.repaired, 5),
    (scenarios.settled, 3),
)


@pytest.mark.parametrize(
    ("make", "stride"), MATRICES, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_kill_at_any_system_call_loses_nothing_and_the_next_run_finishes(
    make: Callable[[Path], Scenario], stride: int, tmp_path: Path
) -> None:
    scenario = make(tmp_path / "templates")
    found = undisturbed(scenario, tmp_path)
    assert len(found) > 20, f"strace saw only {found}"
    chosen = found if FULL else found[::stride]
    with ThreadPoolExecutor(WORKERS) as pool:
        results = pool.map(lambda point: killed_at(scenario, point, tmp_path), chosen)
        failures = {
            str(point): problems
            for point, problems in zip(chosen, results, strict=True)
            if problems
        }
    print(f"{scenario.name}: killed at {len(chosen)} of {len(found)} points")
    if failures:
        pytest.fail(report(failures), pytrace=False)


def undisturbed(scenario: Scenario, parent: Path) -> list[Point]:
    """Run to the end; that has to keep all promises by itself. Returns the points on the way."""
    with copied(scenario.template, parent) as root:
        run(scenario.command(root))  # warms the byte code, which would be system calls else
    with copied(scenario.template, parent) as root:
        host = Host(root)
        truth = scenario.truth(host)
        done = run(scenario.command(root), trace=True)
        assert done.code == 0, done
        problems = finished(scenario, host, truth)
        assert not problems, problems
        return points(done.trace, root)


def killed_at(scenario: Scenario, point: Point, parent: Path) -> list[str]:
    """Kill one run at one point; returns what is wrong then, and after the next run."""
    with copied(scenario.template, parent) as root:
        host = Host(root)
        truth = scenario.truth(host)
        done = run(scenario.command(root), (f"{point.syscall}:signal=KILL:when={point.nth}",))
        problems = []
        if not injected(done.trace, kill=True):
            problems.append(f"the kill did not happen: exit {done.code}, {done.err[-300:]}")
        if scenario.hook and done.code != 0:
            problems.append(f"the hook would have kept the domain from starting: {done.code}")
        problems += [f"after the kill: {each}" for each in lost(host, truth, scenario.moved)]
        again = run(scenario.command(root))
        if again.code != 0 or again.traceback:
            problems.append(f"the second run: exit {again.code}, {again.err}")
        return problems + [
            f"after the second run: {each}" for each in finished(scenario, host, truth)
        ]


def finished(scenario: Scenario, host: Host, truth: Mapping[str, Fact]) -> list[str]:
    """All that is wrong with a tree on which the scenario's command has ended well."""
    return broken_promises(
        host, truth, scenario.bindings, converted=scenario.converted, moved=scenario.moved
    )
