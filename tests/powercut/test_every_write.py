"""A power cut between any two writes to the disk loses nothing (promises P2, P4 and P6)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.harness import report
from tests.powercut import scenarios
from tests.powercut.disk import FILE_SYSTEMS, FileSystem, missing
from tests.powercut.run import explore
from tests.powercut.scenarios import Scenario
from tests.powercut.syncing import MODES

# A commit of ext4 or xfs, by whatever call, has everything before it.
_DISKS = [
    pytest.param(system, mode, id=f"{system.name}-{mode}")
    for system in FILE_SYSTEMS
    for mode in (MODES[:2] if system.one_journal else MODES)
]


@pytest.mark.parametrize("make", scenarios.ALL, ids=lambda value: value.__name__)
@pytest.mark.parametrize(("system", "mode"), _DISKS)
def test_the_next_run_finds_everything_after_a_cut_between_any_two_writes(
    system: FileSystem, mode: str, make: Callable[[Path], Scenario]
) -> None:
    if (reason := missing(system)) is not None:
        pytest.skip(reason)
    figures = explore(system, make, mode)
    print(f"\n{system.name:6} {make.__name__:17} {mode:7} {figures}")
    assert figures.points > 0
    assert figures.trees > 1
    if figures.failures:
        pytest.fail(report(figures.failures), pytrace=False)


@pytest.mark.parametrize("system", FILE_SYSTEMS, ids=lambda value: value.name)
def test_a_file_that_is_nowhere_for_a_moment_shows_so_the_test_above_can_fail(
    system: FileSystem,
) -> None:
    if (reason := missing(system)) is not None:
        pytest.skip(reason)
    figures = explore(system, scenarios.careless, "all")
    assert figures.failures
    assert not any("file system" in each for found in figures.failures.values() for each in found)
