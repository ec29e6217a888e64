"""What lost a file once. Each of these fails on commit 8923101; docs/track-record.md lists them."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_save
from tests.support.process import uuidfs
from tests.support.trees import Domain, Tree, domain_xml, snapshot_xml, uuid_for
from tests.support.truth import trashed
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert, revert
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout
from uuidfs.reconcile.full_pass import FullPass
from uuidfs.reconcile.interface import Listener, ReconcilerOptions
from uuidfs.reconcile.tally import Tally

WEB = Domain("web", uuid_for("web"), snapshots=("s1", "s2"), checkpoints=("c1",))
DB = Domain("db", uuid_for("db"), snapshots=("s1",))


@pytest.fixture
def tree(make_tree: Build) -> Tree:
    """A converted host."""
    made = make_tree(WEB, DB)
    assert convert(layout(made), Options()).exit_code == 0
    return made


def layout(tree: Tree) -> Layout:
    return system(os.fspath(tree.host.root))


def opens(*paths: Path) -> bool:
    return all(path.read_bytes() for path in paths)


def snapshots(tree: Tree) -> list[Path]:
    return [tree.host.snapshot / name for name in ("web/s1.xml", "web/s2.xml", "db/s1.xml")]


# -- revert --------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [b"garbage", snapshot_xml("s1", "db", DB.uuid)])
def test_revert_leaves_the_stores_copy_where_the_name_holds_something_else(
    tree: Tree, document: bytes
) -> None:
    name = tree.host.snapshot / "web/s1.xml"
    good = name.read_bytes()
    name.unlink()
    name.write_bytes(document)
    assert revert(layout(tree), Options()).exit_code == 1
    assert (
        tree.host.root / f"var/lib/libvirt/by-uuid/snapshot/{WEB.uuid}/s1.xml"
    ).read_bytes() == good
    assert name.read_bytes() == document


def test_revert_trashes_no_config_when_one_name_cannot_be_understood(tree: Tree) -> None:
    """Somebody's absolute link at the config's name still leads to the store."""
    name = tree.host.config_of("web")
    store = tree.host.config / f"by-uuid/{WEB.uuid}.xml"
    name.unlink()
    name.symlink_to(store)
    assert revert(layout(tree), Options()).exit_code == 1
    assert opens(name)
    assert trashed(tree.host) == []


def test_revert_removes_the_dangling_link_of_a_log_that_a_cleaner_removed(tree: Tree) -> None:
    tree.host.log_of("web").write_bytes(b"log")
    convert(layout(tree), Options())
    tree.host.config_of("web").unlink()
    for kind in ("snapshot", "checkpoint"):
        shutil.rmtree(tree.host.root / f"var/lib/libvirt/qemu/{kind}/web")
    convert(layout(tree), Options())
    (tree.host.log / f"by-uuid/{WEB.uuid}.log").unlink()
    assert uuidfs(tree.host.root, "check").code == 3
    assert revert(layout(tree), Options()).exit_code == 0
    assert not os.path.lexists(tree.host.log_of("web"))


# -- QEMU's user ---------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [convert, revert])
def test_snapshots_whose_directory_is_away_for_a_while_are_there_when_it_comes_back(
    tree: Tree, action: object
) -> None:
    """/var/lib/libvirt/qemu belongs to QEMU's user, who moves snapshot away and back."""
    hidden = tree.host.snapshot.with_name("hidden")
    tree.host.snapshot.rename(hidden)
    (convert if action is convert else revert)(layout(tree), Options())
    hidden.rename(tree.host.snapshot)
    assert opens(*snapshots(tree))


def test_swapped_directories_cost_no_snapshot(tree: Tree) -> None:
    web, db, aside = (tree.host.snapshot / name for name in ("web", "db", "aside"))

    def swap() -> None:
        web.rename(aside)
        db.rename(web)
        aside.rename(db)

    swap()
    convert(layout(tree), Options())
    swap()
    assert opens(*snapshots(tree))
    assert trashed(tree.host) == []


def test_what_was_trashed_by_mistake_comes_back_by_itself(tree: Tree) -> None:
    """As 8923101 has left it on hosts where the directory was away once."""
    store = tree.host.root / f"var/lib/libvirt/by-uuid/snapshot/{WEB.uuid}/s1.xml"
    label = store.parents[1] / f"trash/{WEB.uuid}~20260101T000000~deleted-by-libvirt~reconciler"
    label.mkdir(parents=True)
    good = store.read_bytes()
    store.rename(label / "s1.xml")
    result = convert(layout(tree), Options())
    assert result.exit_code == 0, result
    assert snapshots(tree)[0].read_bytes() == good
    assert trashed(tree.host) == []


def test_a_snapshot_that_libvirt_deletes_still_goes_to_the_trash_the_last_one_too(
    tree: Tree,
) -> None:
    for name in ("web/s1.xml", "web/s2.xml"):
        (tree.host.snapshot / name).unlink()
        assert convert(layout(tree), Options()).exit_code == 0
    assert len(trashed(tree.host)) == 2


def test_a_directory_that_is_a_link_leaves_the_rest_of_the_domain_alone(tree: Tree) -> None:
    libvirt_save(tree.host.config_of("web"), domain_xml("web", WEB.uuid, "saved"))
    (tree.host.snapshot / "web").rename(tree.host.snapshot / "away")
    (tree.host.snapshot / "web").symlink_to("away")
    assert convert(layout(tree), Options()).exit_code == 1
    assert tree.host.config_of("web").is_symlink(), "the config goes on"
    assert tree.host.config_of("db").is_symlink()


# -- races ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("saves", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "path", ["etc/libvirt/qemu/web.xml", "var/lib/libvirt/qemu/snapshot/web/s1.xml"]
)
def test_revert_keeps_the_last_of_several_saves(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, saves: int, path: str
) -> None:
    """libvirt saves before the swap, and again before each time that revert gives back."""
    name = tree.host.root / path
    left = list(range(saves))
    real = change.exchange

    def document(number: int) -> bytes:
        if name.parent.name == "web":
            return snapshot_xml("s1", "web", WEB.uuid) + b"\n" * number
        return domain_xml("web", WEB.uuid, f"save {number}")

    def exchange(a_dir: Directory, a: str, b_dir: Directory, b: str) -> None:
        if left and b_dir.at(b) == os.fspath(name):
            libvirt_save(name, document(saves - len(left)))
            left.pop()
        real(a_dir, a, b_dir, b)

    monkeypatch.setattr(change, "exchange", exchange)
    revert(layout(tree), Options())
    assert left == []
    assert name.read_bytes() == document(saves - 1)


# -- errors of reading ---------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["listdir", "readlink", "stat"])
def test_one_error_of_reading_costs_nobody_a_file_and_stops_nobody_else(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    tree.host.log_of("web").write_bytes(b"log")
    assert convert(layout(tree), Options()).exit_code == 0
    (tree.host.snapshot / "web").rename(tree.host.snapshot / "of no domain")
    libvirt_save(tree.host.config_of("db"), domain_xml("db", DB.uuid, "saved"))
    real, readlink = getattr(os, what), os.readlink

    def failing(path: Any, *rest: Any, **options: Any) -> Any:  # as the function that it replaces
        descriptor = path if isinstance(path, int) else options.get("dir_fd")
        where = readlink(f"/proc/self/fd/{descriptor}") if descriptor is not None else ""
        if where.endswith("of no domain") or path == "web.log":
            raise OSError(5, "Input/output error")
        return real(path, *rest, **options)

    with monkeypatch.context() as context:
        context.setattr(os, what, failing)
        result = convert(layout(tree), Options())
    assert result.exit_code == 1
    assert tree.host.config_of("db").is_symlink()
    (tree.host.snapshot / "of no domain").rename(tree.host.snapshot / "web")
    convert(layout(tree), Options())
    assert opens(*snapshots(tree), tree.host.log_of("web"))


def test_names_are_utf8_whatever_the_locale_says(make_tree: Build) -> None:
    name = "café"
    tree = make_tree(Domain(name, uuid_for(name)))
    latin = {"LC_ALL": "C", "LANG": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = uuidfs(tree.host.root, "convert", "--all", env=latin)
    assert (done.code, done.err) == (0, "")
    assert tree.host.config_of(name).is_symlink()


# -- the clock -----------------------------------------------------------------------------------


DEAF = Listener(lambda *_: None, lambda *_: None, lambda _: None)


@pytest.mark.parametrize("ahead", [400, -9000], ids=["for a moment", "since it was trashed"])
def test_a_wrong_clock_empties_no_trash(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """The reconciler's first pass and, after an hour, another one."""
    name = tree.host.snapshot / "web/s2.xml"
    wall, monotonic = time.time, time.monotonic
    shift = ahead * 86400.0

    def trash_one() -> None:
        name.unlink()
        assert convert(layout(tree), Options()).exit_code == 0

    if ahead > 0:
        trash_one()
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: wall() + shift)
        if ahead < 0:
            then = time.gmtime(wall() + shift)
            clock.setattr(time, "gmtime", lambda *_: then)
            trash_one()
            clock.undo()
        passes = FullPass(layout(tree), Tally(DEAF))
        passes.run(ReconcilerOptions(trash_retention=30 * 86400.0), lambda _done, _all: None)
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + 3601)
    passes.run(ReconcilerOptions(trash_retention=30 * 86400.0), lambda _done, _all: None)
    assert len(trashed(tree.host)) == 1


def test_a_new_domain_whose_config_gets_the_inodes_number_again_keeps_its_own(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the step libvirt removes the name, and defines a new domain of it. ext4
    gives the number again at once; here every file system does."""
    name, new = tree.host.config_of("web"), uuid_for("new web")
    libvirt_save(name, domain_xml("web", WEB.uuid, "edited"))
    number = name.stat().st_ino
    real_link, real_look, inodes = change.link, Directory.look, dict[int, int]()

    def link(*arguments: Any) -> None:
        if arguments[1] == "web.xml" and not inodes:
            libvirt_save(name.with_name("new.xml"), domain_xml("web", new))
            inodes[name.with_name("new.xml").stat().st_ino] = number
            name.with_name("new.xml").rename(name)
        real_link(*arguments)

    def look(directory: Directory, entry: str) -> Entry | None:
        found = real_look(directory, entry)
        return found and found._replace(ino=inodes.get(found.ino, found.ino))

    monkeypatch.setattr(change, "link", link)
    monkeypatch.setattr(Directory, "look", look)
    convert(layout(tree), Options())
    monkeypatch.undo()
    assert inodes
    convert(layout(tree), Options())
    assert f"<uuid>{new}<".encode() in name.read_bytes()
    assert os.readlink(name) == f"by-uuid/{new}.xml"
