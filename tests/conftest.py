"""A sample tree of one's own, for every test.

In .ci/run nothing may be skipped: a capability that is missing there is a failure."""

import os
import signal
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.trees import Domain, Tree, build, sample

Build = Callable[..., Tree]

# The Debian run has neither a build front end nor rich; the run of everything else has them.
# Control groups are the machine's: chroots and many containers have none to write to. So are
# kinds of network cards and vsocks. Chroots have only a PC's QEMU; .ci/run has the others, and says
# so by UUIDFS_LIVE_ARCHITECTURES. Debian 12's libvirt is older than passt, virtiofs that can move,
# one autostart, and other formats and kinds of firmware files than raw NVRAM.
_ALLOWED = (
    "needs the build front end",
    "are drawn by rich",
    "no control groups",
    "no QEMU of another architecture",
    "no zstd",
    "this kernel has no macvtap",
    "this kernel has no vhost-vsock",
    "this libvirt has no passt",
    "this libvirt moves no virtiofs",
    "this libvirt has no autostart --once",
    "this libvirt knows no other format of NVRAM than raw",
    "this libvirt does not know pstore",
    "this libvirt does not know varstore",
    "no kernel of linux-image-cloud-amd64",
    "the boot sector mounts 9p on QEMU 7 only",
    "this libvirt does not have the defect",
    "this libvirt is older than the fact",
)


def pytest_configure() -> None:
    """Shells start background jobs with SIGINT ignored, and nohup(1) everything with SIGHUP; what
    tests start would inherit that. A user with a group of his own makes directories that the group
    may write to, which root's are not: no lock is taken in those."""
    os.umask(0o022)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless everything is asked for, or it alone by its name; and what
    needs a machine of its own, unless that is asked for."""
    if "UUIDFS_HOST" not in os.environ:
        _deselect(config, items, "host")
    if os.environ.get("UUIDFS_FULL_MATRIX") == "1" or any("::" in word for word in config.args):
        return
    _deselect(config, items, "full")


def _deselect(config: pytest.Config, items: list[pytest.Item], marker: str) -> None:
    out = [item for item in items if item.get_closest_marker(marker)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:  # pluggy's Result
    report: pytest.TestReport = (yield).get_result()
    if os.environ.get("UUIDFS_REQUIRE_LIVE") == "1" and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in _ALLOWED):
            report.outcome = "failed"
            report.longrepr = f"skipped, and nothing may be: {reason}"


@pytest.fixture
def make_tree(tmp_path: Path) -> Build:
    """Build a tree of the given domains, or a sample of three."""

    def make(*domains: Domain) -> Tree:
        return build(tmp_path / "host", domains or sample())

    return make
