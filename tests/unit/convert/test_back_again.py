"""A UUID whose domain is gone when a run looks, and is back when the run has its lock."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_clean_up, libvirt_save
from tests.support.trees import Domain, Tree, domain_xml, uuid_for
from tests.support.truth import broken_promises, facts
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.layout.connections import system
from uuidfs.runtime.domain_locks import Locks
from uuidfs.survey.documents import Documents
from uuidfs.survey.scan import Scan
from uuidfs.survey.scanner import scan_all

WEB = Domain("web", uuid_for("web"), snapshots=("s1",))
DB = Domain("db", uuid_for("db"))
AWAY = Domain("away", uuid_for("away"))
Act = Callable[[], None]


def run(tree: Tree, domains: tuple[str, ...] | None = None) -> None:
    result = convert(system(os.fspath(tree.host.root)), Options(domains))
    assert [domain.error for domain in result.domains if domain.error] == []


def define(tree: Tree, *, started: bool = True) -> bytes:
    """``virsh define`` of the same domain once more, and a start, before which the hook converts
    it; returns the config."""
    data = domain_xml("web", WEB.uuid, "once more")
    libvirt_save(tree.host.config_of("web"), data)
    if started:
        run(tree, ("web",))
    return data


def before_lock(monkeypatch: pytest.MonkeyPatch, act: Act) -> None:
    """Act once while a run waits for the lock of the domain."""
    hold = Locks.hold
    waiting = [act]

    @contextlib.contextmanager
    def wait(self: Locks, uuid: str) -> Iterator[None]:
        if uuid == WEB.uuid and waiting:
            waiting.pop()()
        with hold(self, uuid):
            yield

    monkeypatch.setattr(Locks, "hold", wait)


def after_scan(monkeypatch: pytest.MonkeyPatch, number: int, act: Act) -> None:
    """Act when a run has made so many scans."""
    scans = 0

    def scan(documents: Documents) -> Scan:
        nonlocal scans
        found = scan_all(documents)
        scans += 1
        if scans == number:
            act()
        return found

    monkeypatch.setattr("uuidfs.convert.run.scan_all", scan)


@pytest.mark.parametrize("started", [True, False], ids=["started", "only defined"])
def test_while_the_lock_is_waited_for(
    make_tree: Build, monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    tree = make_tree(WEB, DB)
    run(tree)
    libvirt_clean_up(tree.host, "web")
    written: list[bytes] = []
    before_lock(monkeypatch, lambda: written.append(define(tree, started=started)))
    run(tree)
    assert [tree.host.config_of("web").read_bytes()] == written
    run(tree)
    assert [tree.host.config_of("web").read_bytes()] == written
    assert broken_promises(tree.host, facts(tree.host), tree.bindings) == []


@pytest.mark.parametrize("number", [1, 2])
def test_after_a_scan(make_tree: Build, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Also one that was made for another domain. The third scan is made with the lock held."""
    tree = make_tree(WEB, DB, AWAY)
    run(tree)
    for name in ("web", "away"):
        libvirt_clean_up(tree.host, name)
    written: list[bytes] = []
    after_scan(monkeypatch, number, lambda: written.append(define(tree)))
    run(tree)
    assert [tree.host.config_of("web").read_bytes()] == written
    assert not os.path.lexists(tree.host.store("config") / f"{AWAY.uuid}.xml")


def test_a_kind_that_cannot_be_handled_stops_no_other(make_tree: Build) -> None:
    tree = make_tree(WEB, AWAY)
    run(tree)
    libvirt_clean_up(tree.host, "away")
    shutil.rmtree(tree.host.checkpoint)
    tree.host.checkpoint.touch()
    result = convert(system(os.fspath(tree.host.root)), Options())
    assert [domain.error for domain in result.domains if domain.error] == []
