"""status, path and check."""

import os
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import uuidfs
from tests.support.rights import root_only
from tests.support.trees import domain_xml, uuid_for


def test_status_json_is_what_the_issue_promises(make_tree: Build) -> None:
    tree = make_tree()
    plain = uuidfs(tree.host.root, "status", "--json").json
    assert plain["version"] == 1
    assert {d["state"] for d in plain["domains"]} == {"plain"}
    uuidfs(tree.host.root, "convert", "vm0000")
    domains = {d["name"]: d for d in uuidfs(tree.host.root, "status", "--json").json["domains"]}
    assert {name: d["state"] for name, d in domains.items()} == {
        "vm0000": "converted",
        "vm0001": "plain",
        "vm0002": "plain",
        "passing": "plain",
    }
    assert domains["vm0000"]["uuid"] == uuid_for("vm0000")
    config = domains["vm0000"]["files"][0]
    assert config == {
        "kind": "config",
        "name_path": str(tree.host.config_of("vm0000")),
        "uuid_path": f"{tree.host.store('config')}/{uuid_for('vm0000')}.xml",
        "state": "converted",
    }
    tree.host.config_of("vm0000").unlink()
    tree.host.config_of("vm0000").write_bytes(domain_xml("vm0000", uuid_for("vm0000"), "newer"))
    again = uuidfs(tree.host.root, "status", "vm0000", "--json").json["domains"]
    assert [d["state"] for d in again] == ["partial"]
    assert again[0]["files"][0]["state"] == "stale"


@pytest.mark.parametrize("kind", ["config", "log", "snapshot", "checkpoint"])
def test_path_prints_where_the_files_really_are(make_tree: Build, kind: str) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    path = Path(uuidfs(tree.host.root, "path", "vm0000", "--kind", kind).out.rstrip("\n"))
    assert path.exists()
    assert not path.is_symlink()


def test_check_is_clean_on_a_plain_host_and_finds_and_repairs_a_half_done_one(
    make_tree: Build,
) -> None:
    tree = make_tree()
    assert uuidfs(tree.host.root, "check").code == 0
    uuidfs(tree.host.root, "convert", "--all")
    assert uuidfs(tree.host.root, "check").out == "nothing found\n"
    (tree.host.store("config") / f"{uuid_for('vm0001')}~link").symlink_to("nowhere")
    stale = tree.host.config_of("vm0000")
    stale.unlink()
    stale.write_bytes(domain_xml("vm0000", uuid_for("vm0000"), "newer"))
    found = uuidfs(tree.host.root, "check", "--json")
    assert found.code == 3
    assert {f["repairable"] for f in found.json["findings"]} == {True}
    assert str(stale) in {f["path"] for f in found.json["findings"]}
    assert uuidfs(tree.host.root, "check", "--repair").code == 0
    assert stale.is_symlink()
    assert uuidfs(tree.host.root, "check").code == 0


def test_check_tells_a_damaged_store(make_tree: Build) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    stored = tree.host.store("config") / f"{uuid_for('vm0001')}.xml"
    stored.chmod(0o600)
    stored.write_bytes(domain_xml("vm0001", uuid_for("somebody")))
    done = uuidfs(tree.host.root, "check")
    assert done.code == 3
    assert str(stored) in done.out


@root_only
def test_a_status_file_that_qemus_user_planted_binds_no_name(make_tree: Build) -> None:
    tree = make_tree()
    status = tree.host.status / "passing.xml"
    os.chown(tree.host.status, 64055, -1)  # as libvirt 11 has it
    assert uuidfs(tree.host.root, "status", "passing").code == 0
    os.chown(status, 64055, -1)
    assert uuidfs(tree.host.root, "status", "passing").code == 1
