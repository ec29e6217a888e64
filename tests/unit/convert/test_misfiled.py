"""Checkpoints that domrename wrote in the wrong place, and a daemon that is asked about them."""

import os

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_domrename
from tests.support.trees import Domain, uuid_for
from tests.support.truth import trashed
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout
from uuidfs.runtime.domain_locks import Locks
from uuidfs.runtime.known_checkpoints import KnownCheckpoints


@pytest.mark.parametrize("dry_run", [True, False])
def test_libvirt_is_asked_about_a_misfiled_checkpoint_without_the_lock(
    make_tree: Build, dry_run: bool
) -> None:
    """libvirt may be waiting for the hook, which waits for the lock."""
    web = Domain("web", uuid_for("web"), checkpoints=("c1", "c2"))
    tree = make_tree(web)
    layout = system(os.fspath(tree.host.root))
    assert convert(layout, Options()).exit_code == 0
    libvirt_domrename(tree.host, "web", "shop")
    asked: list[str] = []

    def checkpoints(_layout: Layout, uuid: str) -> KnownCheckpoints:
        with Locks(layout, 0.0).hold(uuid):
            asked.append(uuid)
        return KnownCheckpoints(frozenset({"c1"}), 0)

    result = convert(layout, Options(dry_run=dry_run, checkpoints=checkpoints))
    assert asked == [web.uuid]
    assert result.exit_code == 0
    steps = [step for domain in result.domains for step in domain.steps(layout)]
    kinds = [step.split(":")[0] for step in steps if "c1.xml" in step or "c2.xml" in step]
    assert {"refile the checkpoint", "trash the deleted checkpoint"} <= set(kinds)
    if not dry_run:
        assert [p.name for p in (tree.host.checkpoint / "shop").iterdir()] == ["c1.xml"]
        assert sorted(path.name for path in trashed(tree.host)) == ["c2.xml", "c2.xml"]
