"""Debian with SELinux: what its policy refuses, and that domains start all the same.

`make test-host SUITE=trixie-selinux`. docs/selinux-apparmor.md has what was seen, in a table."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import states, world
from tests.host.host import Host
from tests.host.machine import Machine
from tests.support.process import REPOSITORY

pytestmark = pytest.mark.host

MODULE = REPOSITORY / "packaging/selinux/uuidfs.cil"
PLAIN = Path(__file__).with_name("plain.cil")
HOOK = "/etc/libvirt/hooks/qemu"
WHO = ("virtd_t", "virtlogd_t", "svirt_t", "initrc_t", "logrotate_t")


@pytest.fixture
def enforcing(image: Path) -> Iterator[Machine]:
    """A running machine with the module, enforcing, without uuidfs."""
    with states.maker(image, states.guarded(image, [MODULE, PLAIN]))() as machine:
        machine.do("setenforce 1 && systemctl restart libvirtd")
        yield machine


def refused(machine: Host) -> list[str]:
    """What was refused to libvirt, its guests and the service: who, what, which file."""
    found = set()
    for line in machine.do("cat /var/log/audit/audit.log*").splitlines():
        avc = re.search(
            r"denied +{ (.*?) }.*scontext=\S+?:\S+?:(\w+).*tcontext=\S+?:\S+?:(\w+)", line
        )
        if avc and avc[2] in WHO:
            words = [re.search(rf'{key}="?([^" ]+)', line) for key in ("comm", "name", "path")]
            found.add(" ".join([avc[2], avc[3], avc[1], *(word[1] for word in words if word)]))
    return sorted(found)


def test_without_the_module_there_is_no_hook_and_domains_start(host: Host, deb: Path) -> None:
    """The daemon may not execute it, and with a hook that it cannot execute it starts nothing."""
    host.put([deb], "/root/deb")
    said = host.run(f"dpkg -i /root/deb/{deb.name}")
    assert "SELinux does not let libvirt's daemon, virtd_t, execute it" in said.err
    assert host.run(f"test -e {HOOK}").code
    host.do("uuidfs check && virsh -q start cold")
    host.until("test -L /var/log/libvirt/qemu/cold.log")
    assert "hook" in host.run("uuidfs local-migrate web").err
    host.do("uuidfs check && dpkg --purge uuidfs")
    assert not world.names(host)["links"]


def test_enforced_with_the_module_nothing_is_refused_but_trips(
    enforcing: Machine, deb: Path
) -> None:
    """A trip that is refused leaves the guest where it is: docs/selinux-apparmor.md says why."""
    host = enforcing
    before = refused(host)
    read = world.names(host)["files"]
    host.put([deb], "/root/deb")
    host.do(f"dpkg -i /root/deb/{deb.name}")
    host.do(f"test -x {HOOK} && uuidfs check")
    assert world.names(host)["files"] == read
    host.do("virsh -q start cold && test -L /var/log/libvirt/qemu/cold.log")
    world.goes_on(host, "cold")
    host.do("virsh -q domrename vm10 renamed")
    host.do("virsh -q snapshot-create-as vm11 c; virsh -q snapshot-create-as web more")
    host.until("uuidfs check")
    host.do("virsh -q snapshot-delete vm11 a; virsh -q snapshot-delete web more")
    host.do("virsh -q undefine vm19")
    host.until("uuidfs check")
    host.do("uuidfs undelete vm19 && virsh -q dominfo vm19")
    host.do("logrotate -f /etc/logrotate.d/uuidfs && systemctl restart libvirtd uuidfs")
    assert world.domains(host)["web"] == "running"
    host.until("uuidfs check")
    host.do("systemctl stop uuidfs && uuidfs revert --all && uuidfs convert --all && uuidfs check")
    host.do(
        "systemctl start uuidfs && virsh -q start vm15 && test -L /var/log/libvirt/qemu/vm15.log"
    )
    assert host.do("getenforce").strip() == "Enforcing"
    new = [line for line in refused(host) if line not in before]
    assert new == []

    said = host.run("uuidfs local-migrate web")
    assert (said.code, "Permission denied" in said.err) == (1, True), said
    assert host.run("uuidfs session list").out == "no sessions\n"
    world.goes_on(host, "web")
    host.do("dpkg --purge uuidfs")
    assert not world.names(host)["links"]
    world.goes_on(host, "web")
