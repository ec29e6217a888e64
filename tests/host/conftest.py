"""Real hosts: emulated Debians with systemd and AppArmor. `make test-host` runs these tests.

`UUIDFS_HOST` names the release (trixie, or trixie-selinux); without it no test of here runs.
With `UUIDFS_HOST_AS` "container" they run in containers of its disk (container.py)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import states
from tests.host.host import Host
from tests.host.states import NewHost
from tests.package.conftest import DEB_TOOLS, build, need

SUITE = os.environ.get("UUIDFS_HOST", "trixie")
if SUITE.endswith("-selinux"):
    collect_ignore_glob = ["test_[!s]*.py", "test_scenario.py", "test_service.py"]
else:
    collect_ignore_glob = ["test_selinux.py"]


@pytest.fixture(scope="session")
def image() -> Path:
    """The image of the release."""
    return states.image(SUITE)


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this checkout."""
    return _build(tmp_path_factory, "0.1.0-1~1host")


@pytest.fixture(scope="session")
def newer_deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a later version."""
    return _build(tmp_path_factory, "0.1.0-1~2host")


def _build(tmp_path_factory: pytest.TempPathFactory, release: str) -> Path:
    need(*DEB_TOOLS)
    directory = build("build-deb", tmp_path_factory.mktemp("deb"), "--release", release)
    return next(directory.glob("uuidfs_*.deb"))


@pytest.fixture
def new_plain_host(image: Path) -> NewHost:
    """Makes running hosts with domains, some of them running, without uuidfs."""
    return states.hosts(image)


@pytest.fixture
def new_host(image: Path, deb: Path) -> NewHost:
    """Makes running hosts with domains, and with the package."""
    return states.hosts(image, deb)


@pytest.fixture
def host(new_plain_host: NewHost) -> Iterator[Host]:
    """A running host without uuidfs."""
    with new_plain_host() as one:
        yield one


@pytest.fixture
def uuidfs_host(new_host: NewHost) -> Iterator[Host]:
    """A running host with the package."""
    with new_host() as one:
        yield one
