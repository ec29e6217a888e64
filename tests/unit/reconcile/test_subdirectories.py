"""What is watched below snapshot/ and checkpoint/, which QEMU's user fills as it likes."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_save
from tests.support.process import wait_for
from tests.support.trees import Domain, Tree, uuid_for
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind
from uuidfs.reconcile import watcher as watcher_module
from uuidfs.reconcile.queue import ChangedName, ChangeQueue
from uuidfs.reconcile.subdirectories import Subdirectories
from uuidfs.reconcile.watcher import Watcher

pytestmark = pytest.mark.filterwarnings("ignore:Callback with id")  # pytest resets our own filter

WEB = Domain("web", uuid_for("web"), log_suffixes=("",), snapshots=("s1",))


@contextmanager
def watching(tree: Tree) -> Iterator[tuple[Watcher, ChangeQueue]]:
    with closing(ChangeQueue()) as queue:
        watcher = Watcher(system(os.fspath(tree.host.root)), queue)
        watcher.start()
        try:
            yield watcher, queue
        finally:
            watcher.stop()


def watches() -> int:
    """How many inotify watches this process has, by the kernel."""
    total = 0
    for name in os.listdir("/proc/self/fdinfo"):
        try:
            text = Path(f"/proc/self/fdinfo/{name}").read_text()
        except FileNotFoundError:
            continue
        total += sum(line.startswith("inotify ") for line in text.splitlines())
    return total


def sees(queue: ChangeQueue, wanted: ChangedName) -> None:
    wait_for(lambda: wanted in queue.take()[0], f"{wanted} on the queue")


def many(below: Path, number: int) -> None:
    for each in range(number):
        (below / f"d{each}").mkdir(parents=True)


def test_what_a_link_leads_to_is_not_watched(make_tree: Build, tmp_path: Path) -> None:
    tree = make_tree(WEB)
    many(tmp_path / "elsewhere", 50)
    os.rename(tree.host.snapshot, tmp_path / "former")
    tree.host.snapshot.symlink_to(tmp_path / "elsewhere")
    (tree.host.checkpoint / "link").symlink_to(tmp_path / "elsewhere")
    before = watches()
    with watching(tree) as (watcher, _):
        assert watches() - before == watcher.count() <= 6
        assert watcher.polling is None


def test_one_level_is_watched_of_what_is_there_and_of_what_comes(make_tree: Build) -> None:
    tree = make_tree(WEB)
    many(tree.host.snapshot / "web/deep", 20)
    before = watches()
    with watching(tree) as (watcher, queue):
        many(tree.host.snapshot / "db/deep", 20)
        sees(queue, ChangedName(Kind.SNAPSHOT, "db"))
        libvirt_save(tree.host.snapshot / "db/s1.xml", b"<domainsnapshot/>")
        sees(queue, ChangedName(Kind.SNAPSHOT, "db", "s1.xml"))
        assert watches() - before == watcher.count()
        assert watcher.count() < 15, "five directories, and those of two domains"


def test_a_directory_that_goes_and_comes_again_is_watched_again(make_tree: Build) -> None:
    tree = make_tree(WEB)
    directory = tree.host.snapshot / "db"
    with watching(tree) as (watcher, queue):
        number = watcher.count()
        for _ in range(5):
            directory.mkdir()
            sees(queue, ChangedName(Kind.SNAPSHOT, "db"))
            libvirt_save(directory / "s1.xml", b"<domainsnapshot/>")
            sees(queue, ChangedName(Kind.SNAPSHOT, "db", "s1.xml"))
            assert watcher.count() == number + 1
            (directory / "s1.xml").unlink()
            directory.rmdir()
            sees(queue, ChangedName(Kind.SNAPSHOT, "db"))
        directory.mkdir()
        sees(queue, ChangedName(Kind.SNAPSHOT, "db"))
        directory.rename(tree.host.snapshot / "shop")
        sees(queue, ChangedName(Kind.SNAPSHOT, "shop"))
        libvirt_save(tree.host.snapshot / "shop/s1.xml", b"<domainsnapshot/>")
        sees(queue, ChangedName(Kind.SNAPSHOT, "shop", "s1.xml"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs directories of another user: root")
def test_what_qemus_user_makes_is_not_watched(make_tree: Build) -> None:
    tree = make_tree(WEB)
    many(tree.host.snapshot, 50)
    for path in tree.host.snapshot.glob("d*"):
        os.chown(path, 12345, 12345)
    before = watches()
    with watching(tree) as (watcher, _):
        assert watches() - before == watcher.count() < 20


def test_there_is_a_bound_which_is_told(make_tree: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "limit", lambda: 10)
    tree = make_tree(WEB)
    many(tree.host.snapshot, 50)
    before = watches()
    with watching(tree) as (watcher, queue):
        assert watches() - before == watcher.count() < 30
        assert watcher.polling is None, "the others are watched"
        [told] = watcher.crowded()
        assert told.startswith(f"more than 10 directories in {tree.host.snapshot}: ")
        (tree.host.snapshot / "another").mkdir()
        sees(queue, ChangedName(Kind.SNAPSHOT, "another"))
        assert watches() - before == watcher.count() < 30


def test_what_came_while_events_were_lost_is_watched(
    make_tree: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_tree(WEB)
    with watching(tree) as (watcher, queue):
        with monkeypatch.context() as deaf:
            deaf.setattr(Subdirectories, "add", lambda *_: None)
            (tree.host.snapshot / "db").mkdir()
            sees(queue, ChangedName(Kind.SNAPSHOT, "db"))
        watcher._overflowed()
        watcher.tend()
        assert queue.take()[1], "everything is to be looked at"
        libvirt_save(tree.host.snapshot / "db/s1.xml", b"<domainsnapshot/>")
        sees(queue, ChangedName(Kind.SNAPSHOT, "db", "s1.xml"))
