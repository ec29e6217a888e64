"""Whether a scan may be used again: never after a name came or went."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.coarse import whole_seconds
from tests.support.trees import build, sample
from uuidfs.files import change
from uuidfs.files.directory import opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind, Place
from uuidfs.survey.stamp import stamp


def test_a_quiet_tree(make_tree: Build) -> None:
    tree = make_tree(*sample())
    time.sleep(0.2)
    with TrustedDirs(system(os.fspath(tree.host.root))) as dirs:
        first = stamp(dirs)
        assert first.is_current(dirs)
        time.sleep(0.2)
        assert first.is_current(dirs)


def test_a_tree_that_was_changed_just_before(make_tree: Build) -> None:
    """A change in the same tick of the clock would not show."""
    tree = make_tree(*sample())
    tree.host.config_of("new").touch()
    with TrustedDirs(system(os.fspath(tree.host.root))) as dirs:
        assert not stamp(dirs).is_current(dirs)


def _exchange(directory: Path) -> None:
    held = opened(Place(os.fspath(directory)))
    assert held is not None
    with held:
        change.exchange(held, "one", held, "two")


CHANGES: dict[str, Callable[[Path], None]] = {
    "a file comes": lambda directory: (directory / "new").touch(),
    "a file goes": lambda directory: (directory / "two").unlink(),
    "a file is replaced": lambda directory: os.rename(directory / "one", directory / "two"),
    "two are exchanged": _exchange,
    "a link comes": lambda directory: (directory / "link").symlink_to("two"),
    "a directory goes": lambda directory: (directory / "dir").rmdir(),
}


@pytest.mark.parametrize("act", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("where", [*(kind.value for kind in Kind), "status"])
def test_every_change_shows(make_tree: Build, where: str, act: Callable[[Path], None]) -> None:
    tree = make_tree(*sample())
    directory: Path = getattr(tree.host, where)
    for name in ("one", "two"):
        (directory / name).touch()
    (directory / "dir").mkdir()
    time.sleep(0.2)
    with TrustedDirs(system(os.fspath(tree.host.root))) as dirs:
        first = stamp(dirs)
        assert first.is_current(dirs)
        act(directory)
        assert not first.is_current(dirs)


def test_a_second_change_within_one_second_where_times_are_whole_seconds(tmp_path: Path) -> None:
    with whole_seconds(tmp_path) as mount:
        tree = build(mount / "host", sample())
        time.sleep(1.02 - time.time() % 1)
        tree.host.config_of("new").touch()
        time.sleep(0.2)
        with TrustedDirs(system(os.fspath(tree.host.root))) as dirs:
            first = stamp(dirs)
            tree.host.config_of("new").unlink()
            assert not first.is_current(dirs)
            time.sleep(1.2)
            assert stamp(dirs).is_current(dirs)


def test_a_directory_whose_owner_says_that_it_changes_tomorrow(make_tree: Build) -> None:
    """QEMU's user owns that of snapshots, and would have every run scan again and again."""
    tree = make_tree(*sample())
    tomorrow = (time.time(), time.time() + 86400)
    os.utime(tree.host.snapshot, tomorrow)
    time.sleep(0.2)
    with TrustedDirs(system(os.fspath(tree.host.root))) as dirs:
        first = stamp(dirs)
        assert first.is_current(dirs)
        (tree.host.snapshot / "new").mkdir()
        os.utime(tree.host.snapshot, tomorrow)
        assert not first.is_current(dirs)


@pytest.mark.parametrize("where", [kind.value for kind in Kind])
def test_a_directory_that_was_not_there(make_tree: Build, where: str) -> None:
    tree = make_tree(*sample())
    directory: Path = getattr(tree.host, where)
    shutil.rmtree(directory)
    time.sleep(0.2)
    with TrustedDirs(system(os.fspath(tree.host.root))) as dirs:
        first = stamp(dirs)
        assert first.is_current(dirs)
        directory.mkdir()
        assert not first.is_current(dirs)
