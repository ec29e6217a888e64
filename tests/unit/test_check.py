"""check, while the tree changes under it, and of what is set aside."""

import os
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_domrename
from tests.support.trees import Domain, uuid_for
from uuidfs.check import check, repair
from uuidfs.convert.half_rename import finish_rename
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert, revert
from uuidfs.layout.connections import system
from uuidfs.runtime import sessions
from uuidfs.runtime.owners import started_at
from uuidfs.runtime.sessions import Session
from uuidfs.survey.identity import Identity
from uuidfs.survey.identity_lxml import read_lxml


def test_a_domain_that_changes_meanwhile_is_looked_at_again(make_tree: Build) -> None:
    tree = make_tree()
    layout = system(os.fspath(tree.host.root))
    convert(layout, Options())
    libvirt_domrename(tree.host, "vm0000", "renamed", steps=4)
    finished: list[object] = []

    def read(data: bytes) -> Identity | str:
        """The scan has seen both names; before the closer look, one of them goes."""
        found = read_lxml(data)
        if isinstance(found, Identity) and found.name == "renamed" and not finished:
            finished.append(finish_rename(layout, uuid_for("vm0000"), lambda *_: None, Options()))
        return found

    findings = check(layout, read).findings
    assert finished
    assert str(tree.host.config_of("renamed")) in {finding.path for finding in findings}
    assert convert(layout, Options()).exit_code == 0
    assert check(layout).findings == ()


@pytest.mark.parametrize("owner", ["alive", "dead", "of an earlier boot"])
def test_what_a_local_migration_set_aside_is_not_called_deleted(
    make_tree: Build, owner: str
) -> None:
    tree = make_tree(Domain("web", uuid_for("web"), snapshots=("s1", "s2"), checkpoints=("c1",)))
    layout, uuid = system(os.fspath(tree.host.root)), uuid_for("web")
    convert(layout, Options())
    convert(layout, Options())
    for above in (tree.host.snapshot, tree.host.checkpoint):
        for path in above.glob("web/*.xml"):
            path.unlink()  # as libvirt does, once the record is written
        (above / "web").rmdir()
    deleted = {finding.path for finding in check(layout).findings}
    assert len(deleted) >= 3
    aside = Path(layout.aside.path)
    aside.mkdir()
    (aside / f"{uuid}.json").write_text("{}")
    pid = os.getpid()
    start = (started_at(pid) or 0) if owner == "alive" else 0
    if owner != "of an earlier boot":
        sessions.write(layout, Session(uuid, "web", "peer", pid, start, 1.0, "uuidfs", "", ""))
    findings = check(layout).findings
    assert len(findings) == 3
    for finding in findings:
        assert finding.path in deleted
        assert finding.problem.startswith("it is set aside by a local migration ")
        assert "delete" not in finding.problem
        assert not finding.repairable
        if owner != "of an earlier boot":
            assert f"(phase peer, process {pid}, uuidfs)" in finding.problem
        assert ("local-migrate --recover" in finding.advice) is (owner != "alive")
    assert repair(layout, Options())[0].findings == findings
    if owner == "of an earlier boot":
        # Somebody starts the domain before the recovery, or a full pass comes first.
        assert convert(layout, Options()).exit_code == 0
        assert check(layout).findings == findings
        given = revert(layout, Options())
        assert given.exit_code
        assert "set aside by a local migration" in str(given.domains)


def test_what_is_set_aside_is_found_where_the_store_has_nothing_of_it(make_tree: Build) -> None:
    """Before, a conversion after the power cut took the files away; the record alone is left."""
    tree = make_tree(Domain("web", uuid_for("web")))
    layout, uuid = system(os.fspath(tree.host.root)), uuid_for("web")
    convert(layout, Options())
    aside = Path(layout.aside.path)
    aside.mkdir(parents=True)
    (aside / f"{uuid}.json").write_text("{}")
    (finding,) = check(layout).findings
    assert finding.path == str(aside / f"{uuid}.json")
    assert "run: uuidfs local-migrate --recover" in finding.advice
    sessions.write(
        layout,
        Session(
            uuid, "web", "peer", os.getpid(), started_at(os.getpid()) or 0, 1.0, "uuidfs", "", ""
        ),
    )
    assert check(layout).findings == (), "its owner is at it"
