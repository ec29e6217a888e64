"""A power cut right after a command returned: what an ext4 image shows when mounted anew.

The image's file holds what ext4 has sent to the loop device, which is what a disk would
have. The journal's own timer is set to minutes (commit=300), so that nothing but an fsync
brings the changes there, and the copy is mounted as after a crash, by journal replay.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash import scenarios
from tests.crash.harness import run
from tests.crash.scenarios import Scenario
from tests.crash.test_kill import finished
from tests.support.trees import Host
from tests.support.truth import facts, lost

pytestmark = pytest.mark.crash

_SIZE = 24 * 1024 * 1024


@contextmanager
def mounted(image: Path, where: Path) -> Iterator[Path]:
    """Mount an ext4 image; unmounted at the end, whatever happened."""
    where.mkdir()
    subprocess.run(
        ["mount", "-o", "loop,commit=300", os.fspath(image), os.fspath(where)],
        check=True,
        capture_output=True,
    )
    try:
        yield where
    finally:
        subprocess.run(["umount", os.fspath(where)], check=True)


def new_image(path: Path) -> Path:
    """An empty ext4 file system in a file."""
    with path.open("wb") as file:
        file.truncate(_SIZE)
    subprocess.run(
        ["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", os.fspath(path)],
        check=True,
        capture_output=True,
    )
    return path


@pytest.fixture(scope="module", autouse=True)
def _loop_mounts(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("probe")
    try:
        with mounted(new_image(directory / "image"), directory / "mnt"):
            pass
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("UUIDFS_REQUIRE_LIVE") == "1":
            pytest.fail(f"an ext4 image cannot be mounted here: {error}")
        pytest.skip(f"an ext4 image cannot be mounted here (needs root and loop devices): {error}")


def after_power_cut(
    scenario: Scenario, directory: Path, injections: tuple[str, ...] = ()
) -> tuple[int, list[str], list[str]]:
    """Run on an image and cut the power: exit code, what is lost, and what is not finished."""
    image, copy = new_image(directory / "image"), directory / "copy"
    with mounted(image, directory / "before") as mount:
        root = mount / "root"
        subprocess.run(["cp", "-a", os.fspath(scenario.template), os.fspath(root)], check=True)
        subprocess.run(["sync", "-f", os.fspath(mount)], check=True)
        truth = facts(Host(root))
        code = run(scenario.command(root), injections).code
        shutil.copyfile(image, copy)
    with mounted(copy, directory / "after") as mount:
        host = Host(mount / "root")
        return code, lost(host, truth, scenario.moved), finished(scenario, host, truth)


@pytest.mark.parametrize(
    "make",
    [
        scenarios.first_convert,
        scenarios.mixed,
        scenarios.reverted,
        scenarios.hooked,
        scenarios.without_exchange,
    ],
    ids=lambda value: value.__name__,
)
def test_a_power_cut_right_after_the_command_returned_undoes_nothing(
    make: Callable[[Path], Scenario], tmp_path: Path
) -> None:
    code, gone, unfinished = after_power_cut(make(tmp_path / "templates"), tmp_path)
    assert code == 0
    assert gone == []
    assert unfinished == []


def test_without_fsync_the_cut_shows_so_the_test_above_can_fail(tmp_path: Path) -> None:
    scenario = scenarios.first_convert(tmp_path / "templates")
    code, gone, unfinished = after_power_cut(scenario, tmp_path, ("fsync:retval=0",))
    assert code == 0
    assert gone == []  # the journal keeps every prefix of the steps consistent
    assert unfinished != []
