"""What the tests of the trash share: files that libvirt deleted, and runs that are killed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import Done, uuidfs
from tests.support.trees import Tree, uuid_for
from tests.support.truth import Fact, fact, fingerprint
from uuidfs.files import change
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout

NAME = "vm0000"
UUID = uuid_for(NAME)
SNAPSHOT = "snapshot/vm0000/base.xml"
CHECKPOINT = "checkpoint/vm0000/chk1.xml"
KINDS = ("config", "log", "snapshot", "checkpoint")
DAY = 86400.0


def layout(tree: Tree) -> Layout:
    return system(os.fspath(tree.host.root))


def run(tree: Tree, *arguments: str) -> Done:
    return uuidfs(tree.host.root, *arguments)


def convert(tree: Tree) -> None:
    done = run(tree, "convert", "--all")
    assert done.code == 0, done.err


def name_path(tree: Tree, kind: str) -> Path:
    host = tree.host
    return {
        "config": host.config_of(NAME),
        "log": host.log_of(NAME, ".0"),
        "snapshot": host.lib / SNAPSHOT,
        "checkpoint": host.lib / CHECKPOINT,
    }[kind]


def store_path(tree: Tree, kind: str) -> Path:
    entry = {
        "config": f"{UUID}.xml",
        "log": f"{UUID}.log.0",
        "snapshot": f"{UUID}/base.xml",
        "checkpoint": f"{UUID}/chk1.xml",
    }[kind]
    return tree.host.store(kind) / entry


def delete(tree: Tree, kind: str) -> Fact:
    """libvirt deletes a file of the first domain; returns what it was."""
    before = fact(store_path(tree, kind))
    if kind == "config":
        tree.host.config_of(NAME).unlink()
    elif kind == "log":
        for path in tree.host.log.glob(f"{NAME}.log*"):  # undefine --remove-logs, then convert
            path.unlink()
    else:
        name_path(tree, kind).unlink()
    convert(tree)
    return before


def listed(tree: Tree, *domains: str) -> list[dict[str, Any]]:
    done = run(tree, "trash", "list", "--json", *domains)
    assert done.json["version"] == 1
    assert done.code == (1 if done.json["problems"] else 0), done.err
    found: list[dict[str, Any]] = done.json["entries"]
    return found


def one(tree: Tree, kind: str) -> str:
    """The id of the only entry for the kind's file."""
    file = store_path(tree, kind).name
    found = [e["id"] for e in listed(tree) if (e["kind"], e["file"]) == (kind, file)]
    assert len(found) == 1
    return str(found[0])


def refuses(tree: Tree, wanted: str, reason: str) -> None:
    """The restore fails, says why, and changes nothing at all."""

    def everything() -> list[dict[str, tuple[object, ...]]]:
        return [fingerprint(tree.host.root / top) for top in ("etc", "var")]

    before = everything()
    done = run(tree, "trash", "restore", wanted)
    assert (done.code, done.out) == (1, "")
    assert reason in done.err
    assert everything() == before


class KilledError(BaseException):
    """As a kill: nothing that expects errors handles it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, point: str, call: Callable[[], object]) -> None:
    def trace(passed: str) -> None:
        if passed == point:
            raise KilledError

    with monkeypatch.context() as context:
        context.setattr(change, "trace", trace)
        with pytest.raises(KilledError):
            call()
