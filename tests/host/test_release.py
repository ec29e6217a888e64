"""Debian 12 becomes Debian 13 below running domains: new libvirt, QEMU, Python and libraries.

Meanwhile a domain is started again and again. Many starts fail, as they do without us: QEMU's
libraries are gone for half a minute. None fails because of the hook."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.host import world
from tests.host.container import Container
from tests.host.host import Host
from tests.support.process import REPOSITORY, run

pytestmark = pytest.mark.host

APT = (
    "DEBIAN_FRONTEND=noninteractive apt-get -q -y "
    "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
)
VERSIONS = "dpkg-query -W libvirt-daemon qemu-system-x86 python3"


@contextmanager
def started_again_and_again(host: Host, name: str) -> Iterator[list[str]]:
    """Yields what each start has said, "" where it went well."""
    said: list[str] = []
    over = threading.Event()

    def starts() -> None:
        while not over.wait(0.3):
            done = host.run(f"virsh -q start {name}")
            said.append(done.err if done.code else "")
            host.run(f"virsh -q destroy {name}")

    thread = threading.Thread(target=starts)
    thread.start()
    try:
        yield said
    finally:
        over.set()
        thread.join()


def test_an_upgrade_of_debian_with_running_domains(uuidfs_host: Host) -> None:
    host = uuidfs_host
    if not isinstance(host, Container):
        pytest.skip("an emulated machine has no network, and takes hours")
    if "VERSION_CODENAME=bookworm" not in host.do("cat /etc/os-release"):
        pytest.skip("begins with Debian 12")
    autostarted(host)
    look = "cat /run/libvirt/qemu/web.pid /run/libvirt/qemu/db.pid"
    pids, before = host.do(look), world.names(host)
    new_archive(host)

    with started_again_and_again(host, world.COLD) as starts:
        host.online(f"{APT} full-upgrade").ok()
    print(f"{len(starts)} starts, of which {len([*filter(None, starts)])} failed", flush=True)
    assert not [said for said in starts if "hook" in said.lower()]
    assert "" in starts, "none that went well"
    assert host.do("dpkg --audit") == ""
    print(host.do(VERSIONS))
    assert "VERSION_CODENAME=trixie" in host.do("cat /etc/os-release")

    assert host.do(look) == pids, "a guest has ended"
    assert host.do("systemctl --failed --no-legend --plain") == ""
    assert host.do("systemctl is-active uuidfs").strip() == "active"
    host.until("uuidfs check")
    after = world.names(host)
    assert after["files"] == before["files"]
    assert {*before["links"]} <= {*after["links"]}
    assert "2 of 2 running guests outdated" in host.run("uuidfs outdated").out
    host.do("uuidfs local-migrate --outdated")
    assert "none of 2 running guests is outdated" in host.do("uuidfs outdated")
    for name in world.RUNNING:
        world.goes_on(host, name)

    host.reboot()
    autostarted(host)
    host.until("uuidfs check")
    host.online(f"{APT} purge uuidfs").ok()
    assert not world.names(host)["links"]
    assert world.names(host)["files"] == before["files"]


def autostarted(host: Host) -> None:
    """Wait until libvirt has started those that it starts."""
    for name in world.RUNNING:
        host.until(f"virsh -q domstate {name} | grep running")


def new_archive(host: Container) -> None:
    """Let apt know Debian 13, and bring its packages."""
    files = [Path("/etc/resolv.conf"), *Path("/etc/apt/apt.conf.d").glob("*proxy*")]
    for file in files:
        host.do(f"cat >'{file}'", data=file.read_bytes())
    archive = run(REPOSITORY / "tests/support/own-mirror").ok().out.strip()
    host.do(
        f"rm -f /etc/apt/sources.list.d/*; echo 'deb {archive} trixie main' >/etc/apt/sources.list"
    )
    host.online(f"apt-get -q update && {APT} -d full-upgrade").ok()
