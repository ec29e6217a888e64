"""A log that rotates again and again while a run looks: no file is taken for one that fell off."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_save, virtlogd_rollover
from tests.support.trees import Domain, Tree, domain_xml, uuid_for
from tests.support.truth import broken_promises, facts, trashed
from tests.unit.convert.killing import Killed
from uuidfs.convert.results import Options, RunResult
from uuidfs.convert.run import convert, revert
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.layout.connections import system
from uuidfs.status import FileState, status_of
from uuidfs.survey.documents import Documents
from uuidfs.survey.scan import Scan
from uuidfs.survey.scanner import scan_all

WEB = Domain("web", uuid_for("web"), log_suffixes=("",))


def run(tree: Tree) -> None:
    result = convert(system(os.fspath(tree.host.root)), Options())
    assert [domain.error for domain in result.domains if domain.error] == []


@pytest.mark.parametrize("more", [1, 2])
def test_after_each_scan(make_tree: Build, monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    """virtlogd rotates once after the first scan, and more often after the second."""
    tree = make_tree(WEB)
    run(tree)
    first = tree.host.log_of("web").read_bytes()
    libvirt_save(tree.host.config_of("web"), domain_xml("web", WEB.uuid, "changed"))
    turns = [1, more]

    def scan(documents: Documents) -> Scan:
        found = scan_all(documents)
        for _ in range(turns.pop(0) if turns else 0):
            virtlogd_rollover(tree.host, "web", b"and again\n", backups=4)
        return found

    monkeypatch.setattr("uuidfs.convert.run.scan_all", scan)
    run(tree)
    assert turns == []
    assert tree.host.log_of("web", f".{more}").read_bytes() == first
    assert trashed(tree.host) == []
    assert broken_promises(tree.host, facts(tree.host), tree.bindings) == []


@pytest.mark.parametrize("ends", ["killed", "an error"])
@pytest.mark.parametrize("act", [convert, revert])
def test_in_the_exchange_of_a_link_that_is_cut_off(
    make_tree: Build, monkeypatch: pytest.MonkeyPatch, act: Callable[..., RunResult], ends: str
) -> None:
    """virtlogd rotates just before the exchange, and the log that came off is not given back."""
    tree = make_tree(WEB)
    layout = system(os.fspath(tree.host.root))
    run(tree)
    first = tree.host.log_of("web").read_bytes()
    virtlogd_rollover(tree.host, "web", b"second\n")
    exchange, calls = change.exchange, 0

    def exchanged(a_dir: Directory, a: str, b_dir: Directory, b: str) -> None:
        nonlocal calls
        calls += b == "web.log.0"
        if b == "web.log.0" and calls == 1:
            virtlogd_rollover(tree.host, "web", b"third\n")
            exchange(a_dir, a, b_dir, b)
            if ends == "killed":
                raise Killed
            return
        if b == "web.log.0" and calls == 2 and ends != "killed":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        exchange(a_dir, a, b_dir, b)

    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(change, "exchange", exchanged)
        act(layout, Options())
    assert calls
    run(tree)
    said = [tree.host.log_of("web", suffix).read_bytes() for suffix in ("", ".0", ".1")]
    assert said == [b"third\n", b"second\n", first]
    assert trashed(tree.host) == []


def test_a_status_that_looks_meanwhile(make_tree: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = make_tree(WEB)
    run(tree)

    def scan(documents: Documents) -> Scan:
        found = scan_all(documents)
        if not os.path.lexists(tree.host.log_of("web", ".0")):
            virtlogd_rollover(tree.host, "web", b"and again\n")
        return found

    monkeypatch.setattr("uuidfs.status.scan_all", scan)
    [domain] = status_of(system(os.fspath(tree.host.root))).domains
    assert domain.problems == ()
    assert domain.state is not FileState.CONFLICT
