"""Real events of real directories: what the watcher puts on the queue."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.conftest import Build
from tests.support.libvirt import Libvirtd, finish, libvirt_save, virtlogd_rollover
from tests.support.process import REPOSITORY, wait_for
from tests.support.trees import Domain, Tree, domain_xml, uuid_for
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind
from uuidfs.reconcile.queue import ChangedName, ChangeQueue
from uuidfs.reconcile.watcher import Watcher

WEB = Domain("web", uuid_for("web"), log_suffixes=("",), snapshots=("s1",))


class Watched:
    """A tree, its watcher, and all that the queue was given so far."""

    def __init__(self, tree: Tree, queue: ChangeQueue) -> None:
        self.host = tree.host
        self.queue = queue
        self.watcher = Watcher(system(os.fspath(tree.host.root)), queue)
        self.names: set[ChangedName] = set()
        self.everything = 0
        self.marks = 0

    def take(self) -> None:
        names, everything = self.queue.take()
        self.names |= set(names)
        self.everything += everything

    def sees(self, *wanted: ChangedName) -> None:
        """Wait for all of these."""

        def seen() -> bool:
            self.take()
            return set(wanted) <= self.names

        wait_for(seen, f"{wanted} on the queue")

    def flush(self) -> None:
        """Let everything that was done so far come through: a mark in each directory."""
        self.marks += 1
        mark = f"mark{self.marks}"
        self.host.config_of(mark).touch()
        (self.host.snapshot / mark).mkdir()
        wanted = [
            ChangedName(Kind.CONFIG, mark, f"{mark}.xml"),
            ChangedName(Kind.SNAPSHOT, mark),
        ]
        if self.host.log.exists():
            self.host.log_of(mark).touch()
            wanted.append(ChangedName(Kind.LOG, f"{mark}.log", f"{mark}.log"))
        self.sees(*wanted)

    def settle(self) -> None:
        """Let everything come through, and forget it."""
        self.flush()
        self.names.clear()
        self.everything = 0


@pytest.fixture
def watched(make_tree: Build) -> Iterator[Watched]:
    with closing(ChangeQueue()) as queue:
        made = Watched(make_tree(WEB), queue)
        made.watcher.start()
        try:
            yield made
        finally:
            made.watcher.stop()


def test_at_its_start_everything_is_to_be_looked_at(watched: Watched) -> None:
    watched.take()
    assert watched.everything == 1
    assert watched.watcher.polling is None
    assert watched.watcher.count() >= 5  # four kinds and the status XML


def test_a_save_names_the_domain_and_its_temporary_file_does_not(watched: Watched) -> None:
    libvirt_save(watched.host.config_of("web"), domain_xml("web", WEB.uuid, "newer"))
    watched.sees(ChangedName(Kind.CONFIG, "web", "web.xml"))
    assert not [name for name in watched.names if name.entry.endswith(".new")]
    assert watched.everything == 1, "only that of the start"


def test_logs_are_named_by_file_and_what_is_no_log_is_nobodys(watched: Watched) -> None:
    (watched.host.log / "notes.txt").touch()
    virtlogd_rollover(watched.host, "web", b"new\n")
    watched.sees(
        ChangedName(Kind.LOG, "web.log", "web.log"),
        ChangedName(Kind.LOG, "web.log.0", "web.log.0"),
    )
    assert not [name for name in watched.names if "notes" in name.name]


def test_a_snapshot_names_its_domain_also_in_a_directory_that_is_new(watched: Watched) -> None:
    libvirtd = Libvirtd(watched.host)
    finish(libvirtd.snapshot("web", "s2"))
    watched.sees(ChangedName(Kind.SNAPSHOT, "web", "s2.xml"))
    finish(libvirtd.define("db", uuid_for("db")))
    finish(libvirtd.snapshot("db", "s1"))
    watched.sees(ChangedName(Kind.SNAPSHOT, "db"))
    finish(libvirtd.snapshot_delete("web", "s1"))
    watched.sees(ChangedName(Kind.SNAPSHOT, "web", "s1.xml"))


def test_a_status_file_is_seen_and_tells_no_kind(watched: Watched) -> None:
    libvirt_save(watched.host.status / "guest.xml", b"<domstatus/>")
    watched.sees(ChangedName(None, "guest", "guest.xml"))


def test_reading_is_no_change(watched: Watched) -> None:
    watched.settle()
    for path in (watched.host.config_of("web"), watched.host.log_of("web")):
        path.read_bytes()
    list(watched.host.snapshot.rglob("*"))
    watched.flush()
    assert {name.name for name in watched.names} <= {"mark1", "mark2", "mark1.log", "mark2.log"}


def test_a_directory_that_was_replaced_is_watched_again(watched: Watched) -> None:
    watched.settle()
    copy = watched.host.root / "copy"
    shutil.copytree(watched.host.config, copy, symlinks=True)
    watched.host.config.rename(watched.host.root / "old")
    copy.rename(watched.host.config)
    watched.watcher.tend()
    watched.take()
    assert watched.everything == 1, "what happened in between nobody saw"
    libvirt_save(watched.host.config_of("web"), domain_xml("web", WEB.uuid, "newer"))
    watched.sees(ChangedName(Kind.CONFIG, "web", "web.xml"))


def test_a_directory_that_comes_later_is_watched_from_then_on(make_tree: Build) -> None:
    tree = make_tree(WEB)
    away = tree.host.root / "away"
    tree.host.log.rename(away)
    with closing(ChangeQueue()) as queue:
        watched = Watched(tree, queue)
        watched.watcher.start()
        try:
            watched.settle()
            away.rename(tree.host.log)
            watched.watcher.tend()
            watched.take()
            assert watched.everything == 1
            virtlogd_rollover(tree.host, "web", b"new\n")
            watched.sees(ChangedName(Kind.LOG, "web.log", "web.log"))
        finally:
            watched.watcher.stop()


def test_tending_what_has_not_changed_adds_nothing(watched: Watched) -> None:
    watched.take()
    watched.settle()
    for _ in range(3):
        watched.watcher.tend()
    watched.flush()
    assert watched.everything == 0


NO_WATCHES = """
import sys
from uuidfs.layout.connections import system
from uuidfs.reconcile.queue import ChangeQueue
from uuidfs.reconcile.watcher import Watcher
watcher = Watcher(system(sys.argv[1]), ChangeQueue())
watcher.start()
watcher.tend()
print(watcher.polling)
watcher.stop()
"""


def test_without_watches_it_says_what_it_cannot_watch(make_tree: Build) -> None:
    tree = make_tree(WEB)
    limit = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    limited = 'echo 0 > /proc/sys/user/max_inotify_watches && exec "$@"'
    if subprocess.run([*limit, limited, "sh", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    done = subprocess.run(
        [*limit, limited, "sh", sys.executable, "-c", NO_WATCHES, tree.host.root],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"cannot watch {tree.host.config}: "), done
