"""The collection as Galaxy would have it: built, installed, documented."""

import json
import re
import subprocess
import tarfile

import pytest

import uuidfs
from tests.package.fleet.playing import COLLECTION, Ansible

PLAYBOOKS = ("check", "convert", "revert", "update_qemu")
ROLE = "uuidfs.uuidfs.uuidfs"


def test_what_is_built_has_the_projects_version_and_nothing_else_in_it(ansible: Ansible) -> None:
    with tarfile.open(next((ansible.home / "built").iterdir())) as tarball:
        names = set(tarball.getnames())
        manifest = tarball.extractfile("MANIFEST.json")
        assert manifest is not None
        about = json.load(manifest)["collection_info"]
    assert (about["namespace"], about["name"]) == ("uuidfs", "uuidfs")
    assert about["version"] == uuidfs.__version__
    assert about["license"] == ["LGPL-2.1-or-later"]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."],
        cwd=COLLECTION,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:  # a tarball of the source has no git
        wanted = {name for name in listed.stdout.split() if (COLLECTION / name).exists()}
        files = {name for name in names if not (COLLECTION / name).is_dir()}
        assert files - {"MANIFEST.json", "FILES.json"} == wanted - {"galaxy.yml"}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_the_syntax_of_each_playbook(ansible: Ansible, playbook: str) -> None:
    ansible.run("ansible-playbook", "--syntax-check", f"uuidfs.uuidfs.{playbook}")


def test_each_playbook_is_known(ansible: Ansible) -> None:
    assert sorted(PLAYBOOKS) == sorted(p.stem for p in (COLLECTION / "playbooks").glob("*.yml"))


def specs(ansible: Ansible) -> dict[str, dict[str, dict[str, object]]]:
    """The options of each entry point, by ansible-doc."""
    said = json.loads(ansible.run("ansible-doc", "-t", "role", "--json", ROLE))
    return {name: entry["options"] for name, entry in said[ROLE]["entry_points"].items()}


def test_the_role_documents_each_entry_point_and_every_default(ansible: Ansible) -> None:
    found = specs(ansible)
    assert set(found) == {"main", "check", "update_qemu"}
    documented = {
        name: option["default"] for options in found.values() for name, option in options.items()
    }
    text = (COLLECTION / "roles/uuidfs/defaults/main.yml").read_text()
    defaults = dict(re.findall(r"^(uuidfs_\w+): (.*)$", text, re.MULTILINE))
    assert set(defaults) == set(documented)
    for name, value in defaults.items():
        as_yaml = value if value in ("present", "uuidfs") else json.loads(value)
        assert documented[name] == as_yaml, name


def test_the_readme_has_every_variable(ansible: Ansible) -> None:
    readme = (COLLECTION / "README.md").read_text()
    names = {name for options in specs(ansible).values() for name in options}
    for playbook in PLAYBOOKS:
        text = (COLLECTION / f"playbooks/{playbook}.yml").read_text()
        names.update(re.findall(r"(uuidfs_\w+) \| default", text))
    rows = set(re.findall(r"^\| `(uuidfs_\w+)`", readme, re.MULTILINE))
    assert rows == names
