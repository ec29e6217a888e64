"""Private hosts for the tests here, or the reason why there are none."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live import guest, moved
from tests.live.private_host import PrivateHost, missing, uuidfs_command

MakeHost = Callable[..., PrivateHost]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory is a live test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.live)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test that passed has moved what moved.json says of it."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined] # pluggy's, which has no types here
    if report.when == "setup":
        moved.forget()
    elif report.when == "call" and report.passed:
        missing = moved.unproved(f"{item.path.name}::{item.name}")
        if missing:
            report.outcome = "failed"
            report.longrepr = f"{moved.TABLE.name} claims that it moves: {missing}"


@pytest.fixture(scope="session")
def able() -> None:
    """Skip, or with UUIDFS_REQUIRE_LIVE=1 fail, when there can be no private host here."""
    reason = missing()
    if reason:
        text = f"no private libvirt host here: {reason}"
        if os.environ.get("UUIDFS_REQUIRE_LIVE") == "1":
            pytest.fail(text)
        pytest.skip(text)


@pytest.fixture(scope="session")
def shared(able: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all hosts start from: a disk, and libvirt's cache of what QEMU can do."""
    directory = tmp_path_factory.mktemp("shared")
    guest.make_disk_template(directory)
    with PrivateHost() as host:
        # Of all emulators: else the first `dominfo` of each daemon starts every one, which takes
        # 5 s with 27 of them, and minutes on a loaded machine.
        host.virsh("capabilities").ok()
        shutil.copytree(host.path("/var/cache/libvirt"), directory / "cache")
    return directory


@pytest.fixture
def make_host(shared: Path) -> Iterator[MakeHost]:
    """A function that starts a private host, closed at the end of the test."""
    with ExitStack() as stack:

        def make(**options: int) -> PrivateHost:
            host = stack.enter_context(PrivateHost(cache=shared / "cache", **options))
            guest.add_disks(host, shared / "boot.qcow2")
            return host

        yield make


@pytest.fixture
def host(make_host: MakeHost) -> PrivateHost:
    """A private host without uuidfs."""
    return make_host()


@pytest.fixture
def converted(make_host: MakeHost, uuidfs_works: None) -> PrivateHost:
    """A private host with the hook installed."""
    private = make_host()
    private.install_hook()
    return private


@pytest.fixture
def ready(uuidfs_works: None, host: PrivateHost) -> PrivateHost:
    """A host with the hook."""
    probe = host.run("/usr/bin/python3", "-c", "import libvirt")
    assert probe.code == 0, "python3-libvirt is not installed"
    host.install_hook()
    return host


@pytest.fixture(scope="session")
def uuidfs_works(able: None) -> None:
    """Fail at once and clearly when the program under test does not even start."""
    command, env = uuidfs_command()
    done = subprocess.run(
        [*command, "--help"], env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command} --help: {done.stderr}"
