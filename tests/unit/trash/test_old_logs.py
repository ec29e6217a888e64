"""Logs of undefined domains go to the trash when they are old."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.libvirt import libvirt_clean_up
from tests.support.trees import Tree, domain_xml, uuid_for
from tests.support.truth import fact, trashed
from tests.unit.trash.deleted import (
    DAY,
    NAME,
    UUID,
    convert,
    kill_at,
    layout,
)
from uuidfs.convert.results import Options, RunResult
from uuidfs.layout.places import Kind
from uuidfs.runtime.domain_locks import Locks
from uuidfs.trash import entries
from uuidfs.trash.old_logs import retire_logs
from uuidfs.trash.restore import restore


def retire(tree: Tree, older_than: float | None) -> RunResult:
    return retire_logs(layout(tree), older_than, Options())


def logs(tree: Tree, name: str = NAME) -> list[str]:
    """What there is of a domain's logs, at the names and in the store."""
    return sorted(
        path.name
        for top, stem in ((tree.host.log, name), (tree.host.store("log"), uuid_for(name)))
        for path in top.glob(f"{stem}.log*")
    )


def undefine(tree: Tree, days: float = 40) -> None:
    libvirt_clean_up(tree.host, NAME)
    convert(tree)
    for path in tree.host.store("log").glob(f"{UUID}.log*"):
        os.utime(path, (time.time() - days * DAY,) * 2)


def test_old_logs_of_an_undefined_domain_go_to_the_trash_and_come_back(tree: Tree) -> None:
    undefine(tree)
    others = logs(tree, "vm0001")
    files = {p.name: fact(p) for p in tree.host.store("log").glob(f"{UUID}.log*")}
    result = retire(tree, 30 * DAY)
    assert result.exit_code == 0
    assert [d.uuid for d in result.domains] == [UUID]
    assert logs(tree) == []
    assert logs(tree, "vm0001") == others
    mine = [e for e in entries.entries(layout(tree)) if e.kind is Kind.LOG]
    assert {(e.uuid, e.reason) for e in mine} == {(UUID, "retention")}
    assert {e.file: fact(Path(entries.path_of(layout(tree), e))) for e in mine} == files
    assert retire(tree, 0.0).domains == ()
    for entry in mine:
        restore(layout(tree), entry.id)
    assert {p.name: fact(p) for p in tree.host.store("log").glob(f"{UUID}.log*")} == files


def test_logs_are_kept_for_ever_or_while_one_of_them_is_younger(tree: Tree) -> None:
    undefine(tree)
    before = logs(tree)
    assert retire(tree, None).domains == ()
    assert retire(tree, 50 * DAY).domains == ()
    os.utime(tree.host.store("log") / f"{UUID}.log.0")
    assert retire(tree, 30 * DAY).domains == ()
    assert logs(tree) == before
    assert len(before) == 6


def test_logs_of_a_domain_that_has_a_name_are_kept(tree: Tree) -> None:
    before = logs(tree)
    assert retire(tree, 0.0).domains == ()
    assert logs(tree) == before


def test_logs_are_kept_while_a_document_cannot_be_read(tree: Tree) -> None:
    undefine(tree)
    before = logs(tree)
    tree.host.config_of("torn").write_bytes(b"<domain>")
    assert retire(tree, 30 * DAY).domains == ()
    assert logs(tree) == before


def test_logs_are_kept_while_their_lock_is_held(tree: Tree) -> None:
    undefine(tree)
    before = logs(tree)
    with Locks(layout(tree), 0.0).hold(UUID):
        result = retire(tree, 30 * DAY)
    assert [d.busy for d in result.domains] == [True]
    assert result.exit_code == 75
    assert logs(tree) == before


@pytest.mark.parametrize(
    "document", [domain_xml("again", UUID), b"<domain>"], ids=["a config", "a torn one"]
)
def test_logs_are_kept_when_the_domain_is_defined_after_the_first_scan(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, document: bytes
) -> None:
    undefine(tree)
    before = logs(tree)
    real = Locks.hold

    def define(self: Locks, uuid: str) -> Any:
        tree.host.config_of("again").write_bytes(document)
        return real(self, uuid)

    monkeypatch.setattr(Locks, "hold", define)
    assert retire(tree, 30 * DAY).domains == ()
    assert logs(tree) == before


def test_a_retirement_that_was_killed_is_finished_by_the_next(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    undefine(tree)
    count = len(logs(tree)) // 2
    for _ in range(2 * count - 1):  # each run is killed after one step
        kill_at(monkeypatch, "attempt: step done", lambda: retire(tree, 30 * DAY))
    assert retire(tree, 30 * DAY).exit_code == 0
    assert logs(tree) == []
    assert len([p for p in trashed(tree.host) if p.name.startswith(f"{UUID}.log")]) == count
