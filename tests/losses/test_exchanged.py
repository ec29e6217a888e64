"""What QEMU's user made root lose, by exchanging directories. docs/track-record.md lists them."""

import os
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_save
from tests.support.trees import Domain, Tree, snapshot_xml, uuid_for
from tests.support.truth import facts, lost, trashed
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout
from uuidfs.survey.surveyor import Surveyor

WEB = Domain("web", uuid_for("web"), snapshots=("s1", "s2"), checkpoints=("c1",))
DB = Domain("db", uuid_for("db"), snapshots=("s1",))


def layout(tree: Tree) -> Layout:
    return system(os.fspath(tree.host.root))


def exchange(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def test_a_snapshot_without_a_domain_is_not_taken_from_the_directory_of_another(
    make_tree: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directories are exchanged after the look: what is in them tells no UUID."""
    tree = make_tree(WEB, DB)
    for path in tree.host.snapshot.glob("*/*.xml"):
        path.write_text(f"<domainsnapshot><name>of {path.parent.name}</name></domainsnapshot>")
    truth = facts(tree.host)
    web, db = tree.host.snapshot / "web", tree.host.snapshot / "db"
    look, looks = Surveyor.view, [0]

    def view(self: Surveyor, *arguments: object, **options: object) -> object:
        looks[0] += 1
        if looks[0] == 2:
            exchange(web, db)
        found = look(self, *arguments, **options)  # type: ignore[arg-type]  # as it was called
        if looks[0] == 1:
            exchange(web, db)
        return found

    monkeypatch.setattr(Surveyor, "view", view)
    assert convert(layout(tree), Options()).exit_code == 0
    assert looks[0] > 2
    assert lost(tree.host, truth) == []


def test_checkpoints_stay_when_their_directory_is_called_snapshot_for_a_while(
    make_tree: Build,
) -> None:
    tree = make_tree(WEB, DB)
    truth = facts(tree.host)
    for run in range(2):
        exchange(tree.host.snapshot, tree.host.checkpoint)
        convert(layout(tree), Options())
        exchange(tree.host.snapshot, tree.host.checkpoint)
        assert convert(layout(tree), Options()).exit_code == 0, f"run {run}"
        assert lost(tree.host, truth) == []
    assert trashed(tree.host) == []


def test_the_last_link_to_a_snapshot_stays_while_another_domains_directory_is_in_its_place(
    make_tree: Build,
) -> None:
    tree = make_tree(WEB, DB)
    assert convert(layout(tree), Options()).exit_code == 0
    libvirt_save(tree.host.snapshot / "db/s1.xml", snapshot_xml("s1", "db", DB.uuid))
    truth = facts(tree.host)
    web, db = tree.host.snapshot / "web", tree.host.snapshot / "db"
    web.rename(tree.host.snapshot / "hidden")
    db.rename(web)
    convert(layout(tree), Options())
    web.rename(db)
    (tree.host.snapshot / "hidden").rename(web)
    assert convert(layout(tree), Options()).exit_code == 0
    assert lost(tree.host, truth) == []
    assert trashed(tree.host) == []
