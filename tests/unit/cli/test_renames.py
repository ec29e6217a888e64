"""Renames that were cut in half, and directories that somebody moved."""

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_domrename, libvirt_save
from tests.support.process import uuidfs
from tests.support.trees import Domain, Tree, domain_xml, uuid_for
from tests.support.truth import changes, fingerprint, trashed


def _rename_cut_in_half(tree: Tree) -> None:
    libvirt_domrename(tree.host, "vm0000", "renamed", steps=4)


def test_a_rename_in_flight_is_not_touched_and_repair_finishes_it(make_tree: Build) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    _rename_cut_in_half(tree)
    before = fingerprint(tree.host.root)
    done = uuidfs(tree.host.root, "convert", "--all")
    assert done.code == 1
    assert "check --repair" in done.err
    assert fingerprint(tree.host.root) == before
    states = {
        d["state"]
        for d in uuidfs(tree.host.root, "status", "--json").json["domains"]
        if d["uuid"] == uuid_for("vm0000")
    }
    assert states == {"conflict"}
    assert uuidfs(tree.host.root, "check").code == 3
    assert uuidfs(tree.host.root, "check", "--repair").code == 0
    assert not tree.host.config_of("vm0000").is_symlink()
    assert not tree.host.config_of("vm0000").exists()
    assert b"<name>renamed<" in tree.host.config_of("renamed").read_bytes()
    assert tree.host.config_of("renamed").is_symlink()
    assert sorted(p.name for p in (tree.host.snapshot / "renamed").iterdir()) == [
        "base.xml",
        "before upgrade.xml",
    ]
    assert sorted(p.name for p in (tree.host.checkpoint / "renamed").iterdir()) == ["chk1.xml"]
    assert not (tree.host.snapshot / "vm0000").exists()
    assert not (tree.host.autostart / "vm0000.xml").is_symlink()
    assert tree.host.log_of("renamed").is_symlink()


def test_revert_of_a_rename_cut_in_half_gives_the_plain_hosts_state(make_tree: Build) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    _rename_cut_in_half(tree)
    uuidfs(tree.host.root, "revert", "--all")
    for name in ("vm0000", "renamed"):
        assert not tree.host.config_of(name).is_symlink()
        assert f"<name>{name}<".encode() in tree.host.config_of(name).read_bytes()
    assert (tree.host.snapshot / "vm0000/base.xml").is_file()
    assert not (tree.host.snapshot / "vm0000/base.xml").is_symlink()


@pytest.mark.parametrize(
    "command",
    [("convert", "--all"), ("revert", "--all"), ("check", "--repair"), ("reconcile", "--once")],
)
def test_a_rename_killed_in_its_clean_up_leaves_no_snapshot_to_who_takes_the_old_name(
    make_tree: Build, command: tuple[str, ...]
) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    _rename_cut_in_half(tree)
    tree.host.config_of("vm0000").unlink()  # the first call of the fifth step, then the kill
    states = {
        f["state"]
        for d in uuidfs(tree.host.root, "status", "--json").json["domains"]
        if d["uuid"] == uuid_for("vm0000")
        for f in d["files"]
    }
    assert "stray" in states
    assert uuidfs(tree.host.root, "check").code == 3
    assert uuidfs(tree.host.root, *command).code == 0
    assert list((tree.host.snapshot / "vm0000").iterdir()) == []
    assert (tree.host.snapshot / "renamed/base.xml").is_file()
    if command[0] == "revert":  # what a plain host has at this point, and nothing else
        left = tree.host.checkpoint / "vm0000/chk1.xml"
        assert left.is_file()
        assert not left.is_symlink()
        assert trashed(tree.host) == []
    else:
        assert list((tree.host.checkpoint / "vm0000").iterdir()) == []
        assert uuidfs(tree.host.root, "check").code == 0


@pytest.mark.parametrize("kind", ["snapshot", "checkpoint"])
def test_a_directory_that_somebody_moved_keeps_its_files_and_can_be_moved_back(
    make_tree: Build, kind: str
) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    before = fingerprint(tree.host.root)
    there = tree.host.lib / kind / "vm0000"
    aside = there.with_name("vm0000.bak")
    there.rename(aside)
    for _ in range(2):
        done = uuidfs(tree.host.root, "convert", "--all")
        assert done.code == 1
        assert "vm0000.bak" in done.err
        assert "give the directory its name back" in done.err
    assert uuidfs(tree.host.root, "check").code == 3
    aside.rename(there)
    assert changes(before, fingerprint(tree.host.root)) == []
    assert uuidfs(tree.host.root, "check").code == 0


def test_the_log_goes_on_where_a_start_without_the_hook_and_a_new_domain_were_faster(
    make_tree: Build,
) -> None:
    tree = make_tree(Domain("web", uuid_for("web")))
    host = tree.host
    old = host.log_of("web").read_bytes()
    uuidfs(host.root, "convert", "--all")
    libvirt_domrename(host, "web", "shop")
    host.log_of("shop").write_bytes(b"newer\n")
    libvirt_save(host.config_of("web"), domain_xml("web", uuid_for("newcomer")))
    assert uuidfs(host.root, "convert", "--all").code == 0
    assert host.log_of("shop").read_bytes() == b"newer\n"
    logs = [path.read_bytes() for path in host.log.glob("shop.log.*")]
    assert logs.count(old) == 1
    assert trashed(host) == []
    assert uuidfs(host.root, "check").code == 0


def test_revert_of_a_directory_that_somebody_moved_leaves_plain_files_in_it(
    make_tree: Build,
) -> None:
    tree = make_tree()
    before = fingerprint(tree.host.snapshot / "vm0000")
    uuidfs(tree.host.root, "convert", "--all")
    (tree.host.snapshot / "vm0000").rename(tree.host.snapshot / "aside")
    assert uuidfs(tree.host.root, "revert", "--all").code == 0
    assert changes(before, fingerprint(tree.host.snapshot / "aside")) == []
    assert trashed(tree.host) == []
