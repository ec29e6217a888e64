"""These tests change the whole system: they run in the chroot of tests/package/run only."""

import os
from collections.abc import Iterator

import pytest

from tests.package.chroot.machine import Machine

if "UUIDFS_DEBS" not in os.environ:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def template() -> Iterator[Machine]:
    """The chroot as a libvirt host; its daemons end with the tests."""
    machine = Machine()
    machine.prepare()
    yield machine
    machine.stop()


@pytest.fixture
def machine(template: Machine) -> Iterator[Machine]:
    """The same without uuidfs, and without what an earlier test has left."""
    template.reset()
    yield template
    template.reset()
