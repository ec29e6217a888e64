"""Real hosts: emulated Debians with systemd and AppArmor. `make test-host` runs these tests.

`UUIDFS_HOST` names the release (trixie); without it no test of here runs. With `UUIDFS_HOST_AS`
"container" the tests that cut no power run in containers of its disk (container.py)."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.host import states
from tests.host.host import Host
from tests.host.machine import Machine
from tests.package.conftest import DEB_TOOLS, build, need

SUITE = os.environ.get("UUIDFS_HOST", "trixie")
CONTAINERS = os.environ.get("UUIDFS_HOST_AS") == "container"
NewMachine = Callable[[], AbstractContextManager[Machine]]


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
def host(image: Path) -> Iterator[Host]:
    """A running host with domains, some of them running, without uuidfs."""
    if CONTAINERS:
        with states.container(states.ready_disk(image)) as container:
            container.boot()
            yield container
    else:
        with states.maker(image, states.ready(image))() as machine:
            yield machine


@pytest.fixture
def new_host(image: Path, deb: Path) -> NewMachine:
    """Makes running machines with domains, and with the package."""
    return states.maker(image, states.installed(image, deb))


@pytest.fixture
def uuidfs_host(image: Path, deb: Path) -> Iterator[Host]:
    """A running host with domains, and with the package."""
    if CONTAINERS:
        with states.container(states.installed_disk(image, deb)) as container:
            container.boot()
            yield container
    else:
        with states.maker(image, states.installed(image, deb))() as machine:
            yield machine
