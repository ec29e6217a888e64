"""ansible-lint over the collection, where it is installed beside ansible-core (conftest.py)."""

from tests.package.fleet.playing import Ansible


def test_ansible_lint_finds_nothing(ansible: Ansible) -> None:
    """As the collection is installed: there it finds the role by its name."""
    place = ansible.home / "collections/ansible_collections/uuidfs/uuidfs"
    ansible.run("ansible-lint", "--nocolor", ".", cwd=place)
