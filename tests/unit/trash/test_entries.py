"""The trash, listed and shown: by the real command line on real files."""

import os
import time
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_clean_up
from tests.support.trees import Tree, uuid_for
from tests.support.truth import fact
from tests.unit.trash.deleted import (
    KINDS,
    NAME,
    UUID,
    convert,
    delete,
    layout,
    listed,
    name_path,
    one,
    run,
)
from uuidfs.errors import NoSuchEntry
from uuidfs.trash import entries


@pytest.mark.parametrize("kind", KINDS)
def test_what_libvirt_deleted_is_listed_with_who_when_and_why(tree: Tree, kind: str) -> None:
    before = time.time()
    was = delete(tree, kind)
    entry = next(e for e in listed(tree) if e["id"] == one(tree, kind))
    assert (entry["uuid"], entry["size"]) == (UUID, os.stat(entry["path"]).st_size)
    assert entry["reason"] == ("undefined" if kind == "config" else "deleted-by-libvirt")
    assert entry["by"] == "convert"
    assert entry["name"] == (None if kind == "config" else NAME)
    when = entries.entries(layout(tree))[0].when
    assert when.tzinfo is not None
    assert before - 1 <= when.timestamp() <= time.time()
    assert fact(Path(entry["path"])) == was, "the trash has another file"
    assert entry["last_name"] == NAME
    head, *lines = run(tree, "trash", "list").out.splitlines()
    assert head.split() == ["ID", "WHEN", "(UTC)", "DOMAIN", "WHY", "WHAT"]
    (line,) = (each for each in lines if entry["id"].startswith(each.split()[0]))
    what = {"config": "config", "log": "log", "snapshot": "snapshot base", "checkpoint": "chk1"}
    assert f" {NAME} " in line
    assert what[kind] in line
    assert max(map(len, lines)) <= 80
    wide = run(tree, "trash", "list", "--wide").out
    assert wide.splitlines()[0].split()[:3] == ["WHEN", "UUID", "NAME"]
    assert entry["id"] in wide
    assert UUID in wide


@pytest.mark.parametrize(
    ("command", "by"), [(("reconcile", "--once"), "reconciler"), (("check", "--repair"), "check")]
)
def test_the_trash_says_who_put_it_there(tree: Tree, command: tuple[str, ...], by: str) -> None:
    name_path(tree, "snapshot").unlink()
    assert run(tree, *command).code == 0
    assert [e["by"] for e in listed(tree)] == [by]


def test_what_an_older_version_put_there_is_listed_too(tree: Tree) -> None:
    delete(tree, "config")
    (entry,) = (e for e in listed(tree) if e["kind"] == "config")
    inner = Path(entry["path"]).parent
    inner.rename(inner.with_name(inner.name.replace("~convert", "~2")))
    (old,) = (e for e in listed(tree) if e["kind"] == "config")
    assert (old["reason"], old["by"], old["uuid"]) == ("undefined", None, UUID)
    assert " - " in run(tree, "trash", "list", "--wide").out


def test_the_newest_entry_is_last_and_domains_can_be_chosen(tree: Tree) -> None:
    delete(tree, "snapshot")
    libvirt_clean_up(tree.host, "vm0001")
    time.sleep(1.1)  # the time in a trash's name is in seconds
    convert(tree)
    whens = [entry["when"] for entry in listed(tree)]
    assert whens == sorted(whens)
    assert len(set(whens)) == 2
    assert {e["uuid"] for e in listed(tree, NAME)} == {UUID}
    gone = uuid_for("vm0001")
    assert {e["uuid"] for e in listed(tree, gone)} == {gone}
    assert {e["uuid"] for e in listed(tree, "vm0001")} == {gone}, "its config says its name"
    assert {e["uuid"] for e in listed(tree, gone[:8])} == {gone}
    assert len(listed(tree, NAME, gone)) == len(listed(tree))
    assert run(tree, "trash", "list", "never-was").code == 1


def test_an_empty_trash_is_no_error(make_tree: Build) -> None:
    tree = make_tree()
    assert listed(tree) == []
    done = run(tree, "trash", "list")
    assert (done.code, done.out, done.err) == (0, "the trash is empty\n", "")
    assert run(tree, "trash", "empty", "--older-than", "0s").code == 0


@pytest.mark.parametrize("kind", KINDS)
def test_show_says_all_about_one_entry(tree: Tree, kind: str) -> None:
    delete(tree, kind)
    wanted = one(tree, kind)
    shown = run(tree, "trash", "show", wanted[:6], "--json").json["entry"]
    found = os.stat(shown["path"])
    assert (shown["id"], shown["kind"], shown["uuid"]) == (wanted, kind, UUID)
    assert shown["mode"] == f"{found.st_mode & 0o7777:04o}"
    assert shown["owner"] == found.st_uid
    assert shown["document"] == (NAME if kind == "config" else None)
    assert shown["path"] in run(tree, "trash", "show", wanted).out
    long = "/".join((kind, *shown["path"].split("/")[-2:]))
    assert run(tree, "trash", "show", long, "--json").json["entry"] == shown


def test_an_id_that_is_not_there_or_not_the_only_one_is_refused(tree: Tree) -> None:
    libvirt_clean_up(tree.host, NAME)
    libvirt_clean_up(tree.host, "vm0001")
    convert(tree)
    for command in ("show", "restore", "empty"):
        done = run(tree, "trash", command, "xyz")
        assert (done.code, done.out) == (1, "")
        assert "trash list" in done.err
    first = [e.id for e in entries.entries(layout(tree))]
    with pytest.raises(NoSuchEntry) as caught:
        entries.pick([*entries.entries(layout(tree))] * 2, first[0])
    assert caught.value.matches == 2
    assert run(tree, "trash", "show", "").code == 1
