"""A log that rotates again and again while a run looks: no file is taken for one that fell off."""

import os

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_save, virtlogd_rollover
from tests.support.trees import Domain, Tree, domain_xml, uuid_for
from tests.support.truth import broken_promises, facts, trashed
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.layout.connections import system
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
