"""The trash is emptied of what is old, and of nothing else."""

import os
import time

from tests.support.trees import QEMU_UID, Tree
from tests.support.truth import trashed
from tests.unit.trash.deleted import (
    DAY,
    UUID,
    delete,
    layout,
    listed,
    one,
    run,
    store_path,
)
from uuidfs.trash import empty


def age(tree: Tree, kind: str, days: float) -> None:
    """Make a kind's trash older: only the names of the directories tell when."""
    for path in tree.host.store(kind).glob("trash/*"):
        uuid, _, reason = path.name.split("~", 2)
        when = time.strftime("%Y%m%dT%H%M%S", time.gmtime(time.time() - days * DAY))
        path.rename(path.with_name(f"{uuid}~{when}~{reason}"))


def test_only_what_is_older_than_the_retention_goes(tree: Tree) -> None:
    delete(tree, "snapshot")
    delete(tree, "config")
    age(tree, "snapshot", 31)
    age(tree, "config", 29)
    planned = run(tree, "trash", "empty", "--dry-run", "--json").json
    assert [e["kind"] for e in planned["removed"]] == ["snapshot"] * len(planned["removed"])
    assert len(planned["removed"]) >= 1
    kept = {
        path
        for path in trashed(tree.host)
        if os.fspath(path) not in {e["path"] for e in planned["removed"]}
    }
    assert "would be removed" in run(tree, "trash", "empty", "--dry-run").out
    assert len(trashed(tree.host)) == len(kept) + len(planned["removed"])
    assert run(tree, "trash", "empty", "--json").json == {**planned, "dry_run": False}
    assert set(trashed(tree.host)) == kept
    assert run(tree, "trash", "empty", "--older-than", "4w").code == 0
    assert not list(tree.host.store("config").glob("trash/*"))


def test_a_retention_of_for_ever_removes_nothing(tree: Tree) -> None:
    delete(tree, "config")
    age(tree, "config", 4000)
    before = trashed(tree.host)
    assert run(tree, "trash", "empty", "--older-than", "forever").code == 0
    assert empty.empty(layout(tree), None).removed == ()
    assert trashed(tree.host) == before
    assert run(tree, "trash", "empty", "--older-than", "soon").code == 2


def test_what_was_trashed_in_the_future_stays(tree: Tree) -> None:
    delete(tree, "config")
    age(tree, "config", -3)
    assert run(tree, "trash", "empty", "--older-than", "0s").code == 0
    assert store_path(tree, "config").name in {path.name for path in trashed(tree.host)}


def test_single_entries_can_be_removed(tree: Tree) -> None:
    delete(tree, "config")
    delete_others = [e["id"] for e in listed(tree) if e["kind"] != "config"]
    assert run(tree, "trash", "empty", one(tree, "config")).code == 0
    assert [e["id"] for e in listed(tree)] == delete_others
    assert run(tree, "trash", "empty", "abc", "--older-than", "1d").code == 2


def test_an_empty_directory_that_a_kill_left_goes_too(tree: Tree) -> None:
    delete(tree, "config")
    left = tree.host.store("config") / f"trash/{UUID}~20200101T000000~undefined~1"
    left.mkdir(mode=0o700)
    empty.empty(layout(tree), 0.0)
    assert not left.exists()


def test_what_uuidfs_did_not_put_there_is_left_and_reported(tree: Tree) -> None:
    delete(tree, "config")
    age(tree, "config", 100)
    top = tree.host.store("config") / "trash"
    victim = tree.host.root / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    ours = next(top.iterdir())
    os.mkfifo(ours / "pipe")
    (ours / "directory").mkdir()
    (ours / "link").symlink_to(victim / "precious")
    (top / "holiday.jpg").write_text("x")
    (top / f"{UUID}~20200101T000000~planted").symlink_to(victim)
    (top / f"{UUID}~20201399T000000~no-date").mkdir()
    loose = top / f"{UUID}~20200101T000000~loose"
    loose.mkdir()
    (loose / "file").write_text("x")
    loose.chmod(0o777)
    foreign = {
        ours / "pipe",
        ours / "directory",
        top / "holiday.jpg",
        loose,
        top / f"{UUID}~20200101T000000~planted",
        top / f"{UUID}~20201399T000000~no-date",
    }
    if os.geteuid() == 0:
        alien = top / f"{UUID}~20200101T000000~alien"
        alien.mkdir(mode=0o755)
        (alien / "file").write_text("x")
        os.chown(alien, QEMU_UID, QEMU_UID)
        foreign.add(alien)
    problems = run(tree, "trash", "list", "--json").json["problems"]
    assert {p["path"] for p in problems} == {os.fspath(path) for path in foreign}
    done = run(tree, "trash", "empty", "--json")
    assert done.code == 1
    assert {p["path"] for p in done.json["problems"]} == {os.fspath(path) for path in foreign}
    assert all(os.path.lexists(path) for path in foreign)
    assert (victim / "precious").read_text() == "x"
    assert (loose / "file").exists()
    assert not os.path.lexists(ours / "link"), "a link of ours' age goes, not what it leads to"
    assert not (ours / f"{UUID}.xml").exists()


def test_a_trash_that_is_a_symlink_is_not_followed(tree: Tree) -> None:
    delete(tree, "config")
    top = tree.host.store("config") / "trash"
    top.rename(tree.host.root / "elsewhere")
    top.symlink_to(tree.host.root / "elsewhere")
    for command in (("list",), ("empty", "--older-than", "0s")):
        done = run(tree, "trash", *command)
        assert done.code == 1
        assert "no symlink" in done.err
    assert list((tree.host.root / "elsewhere").glob("*/*"))
