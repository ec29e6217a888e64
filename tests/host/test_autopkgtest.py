"""Debian's tests of the installed package that need a machine: packaging/deb/tests."""

import pytest

from tests.host.host import Host
from tests.support.process import REPOSITORY

pytestmark = pytest.mark.host

TESTS = REPOSITORY / "packaging/deb/tests"
RUN = "mkdir -p /root/tmp && cd / && AUTOPKGTEST_TMP=/root/tmp"


def test_on_a_host(uuidfs_host: Host) -> None:
    uuidfs_host.put([TESTS / "functions", TESTS / "host"], "/root/tests")
    uuidfs_host.do(f"{RUN} sh /root/tests/host")


def test_over_a_reboot(uuidfs_host: Host) -> None:
    """autopkgtest gives the program that reboots, and tells the second run its mark."""
    uuidfs_host.put([TESTS / "functions", TESTS / "reboot"], "/root/tests")
    uuidfs_host.do(
        "printf '#!/bin/sh\\necho \"$1\" >/root/mark\\n' >/tmp/autopkgtest-reboot;"
        f"chmod 755 /tmp/autopkgtest-reboot; {RUN} sh /root/tests/reboot"
    )
    uuidfs_host.reboot()
    uuidfs_host.do(f"{RUN} AUTOPKGTEST_REBOOT_MARK=$(cat /root/mark) sh /root/tests/reboot")
