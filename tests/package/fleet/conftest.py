"""ansible-core with the collection installed, or the reason why there is none."""

import os

import pytest

from tests.live.conftest import able, make_host, shared, uuidfs_works
from tests.package.fleet.playing import Ansible, find

__all__ = ["able", "ansible", "make_host", "shared", "uuidfs_works"]


_PLACE = find()
if _PLACE is None or not (_PLACE / "ansible-lint").exists():
    collect_ignore = ["test_ansible_lint.py"]  # no dependency: CI does without


@pytest.fixture(scope="session")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    """Skip, or with UUIDFS_REQUIRE_LIVE=1 fail, where there is no ansible-core."""
    if _PLACE is None:
        text = "no ansible-core here (ansible-playbook)"
        if os.environ.get("UUIDFS_REQUIRE_LIVE") == "1":
            pytest.fail(text)
        pytest.skip(text)
    found = Ansible(_PLACE, tmp_path_factory.mktemp("ansible"))
    found.install()
    return found
