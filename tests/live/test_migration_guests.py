"""Guests as virt-install, Nova, oVirt, CloudStack and Cockpit make them, there and back.

tests/data/domains has them: not copies, but with the devices of those. Each starts here, by
emulation (TCG), and moves.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from tests.live import networks, tpm_guest
from tests.live.devices import define, gap
from tests.live.moving import IMAGES, move
from tests.live.private_host import DAEMON, PrivateHost
from tests.live.test_migration_disks import cpu_time
from tests.support.process import wait_for

DOMAINS = {
    path.stem: path for path in sorted((Path(__file__).parents[1] / "data/domains").glob("*.xml"))
}

BRIDGES = ("br0", "qbr0", "ovirtmgmt", "cloudbr0")

# libvirt's own bridge: of a network with forward mode='bridge' the live XML makes type='bridge'.
NETWORK = "<network><name>default</name><bridge name='virbr0'/><dns enable='no'/></network>"

FILTER = (
    "<filter name='vdsm-no-mac-spoofing' chain='root'><rule action='drop' direction='out'>"
    "<mac match='no' srcmacaddr='$MAC'/></rule></filter>"
)

# Reads a pty or a unix socket until the guest has printed its counter five times.
READ = r"""
import os, re, socket, stat, sys, time, tty
path = sys.argv[1]
if stat.S_ISSOCK(os.stat(path).st_mode):
    plug = socket.socket(socket.AF_UNIX)
    plug.connect(path)
    descriptor = plug.fileno()
else:
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(descriptor)
seen = b""
while len(re.findall(rb"(?<=\n)[a-p]{4}(?=\n)", seen)) < 5:
    seen += os.read(descriptor, 4096)
os.write(1, seen)
"""


@pytest.fixture(scope="module")
def lively(shared: Path, uuidfs_works: None) -> Iterator[PrivateHost]:
    """A host with the hook, bridges, and a disk for every guest."""
    with PrivateHost(cache=shared / "cache") as host:
        host.install_hook()
        tpm_guest.directories(host)
        # SPICE listens there; glibc gives it no address of IPv4 where no card has any.
        host.run("ip", "link", "set", "lo", "up").ok()
        networks.switch(host)
        networks.sh(host, "ovs-vsctl add-br br-int -- set bridge br-int datapath_type=netdev")
        for bridge in BRIDGES:
            host.run("ip", "link", "add", bridge, "type", "bridge").ok()
            host.run("ip", "link", "set", bridge, "up").ok()
        host.run("ip", "address", "add", "192.0.2.1/24", "dev", "br0").ok()
        networks.drivers(host)
        define(host, NETWORK, "net-define")
        host.virsh("net-start", "default").ok()
        for path in DOMAINS.values():
            for disk in re.findall(rf"{IMAGES}/[^\"]*\.qcow2", path.read_text()):
                host.path(disk).write_bytes((shared / "boot.qcow2").read_bytes())
        yield host


@pytest.mark.parametrize("name", DOMAINS)
def test_a_guest_moves(lively: PrivateHost, name: str) -> None:
    xml = DOMAINS[name].read_text()
    if name == "ovirt" and DAEMON != "libvirtd":
        pytest.skip("a peer of virtqemud has no network filters")
    define(lively, xml)
    if name == "ovirt":
        define(lively, FILTER, "nwfilter-define")
    lively.virsh("start", name).ok()
    if "firmware=" in xml:  # it boots no boot sector
        move(lively, name)
        used = cpu_time(lively, name)
        wait_for(lambda: cpu_time(lively, name) > used, "the guest's CPU runs")
    else:
        before = printed(lively, name)
        move(lively, name)
        print("ticks of 55 ms that nobody read:", gap(before, printed(lively, name)))
    lively.virsh("destroy", name).ok()


def printed(host: PrivateHost, name: str) -> str:
    """What a guest says on its first serial port now."""
    live = etree.fromstring(host.virsh("dumpxml", name).ok().out)
    source = live.find("devices/serial/source")
    assert source is not None
    return host.run("/usr/bin/python3", "-c", READ, str(source.get("path"))).ok().out
