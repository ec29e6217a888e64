"""What guests are connected to: switches in a private host, and a guest that answers pings.

The guest is the boot program of its own network card (iPXE), see netboot.py.
"""

import json
import os
import re
import select
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.live import netboot
from tests.live.devices import define, differences, domain, shown
from tests.live.moving import move
from tests.live.planned import HOME, before, uuidfs_at
from tests.live.private_host import DAEMON, Daemon, PrivateHost
from tests.support.process import PATIENCE

MAC = "52:54:00:00:00:09"
ROMS = tuple(
    Path(f"/usr/{place}/pxe-virtio.rom")  # Debian 12's place and Debian 13's
    for place in ("lib/ipxe/qemu", "share/qemu")
)
LONGEST = 5.0  # seconds of silence; about 0.1 on an idle machine
CARD = f"<mac address='{MAC}'/><model type='virtio'/>"

_FILTERS = tuple(Path(f"/{place}/libvirt/nwfilter") for place in ("etc", "usr/share"))
_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
_VSWITCHD = "/usr/lib/openvswitch-switch/ovs-vswitchd"


# libvirt opens /dev/tapN, which the kernel makes where /dev is its own file system.
_NODES = """
grep -q '^devtmpfs /dev ' /proc/mounts && exit
mkdir /run/nodes /run/dev
mount -t devtmpfs nodes /run/nodes
mount -t tmpfs dev /run/dev
cp -a /dev/. /run/dev
for number in $(seq 1 299); do ln -s /run/nodes/tap$number /run/dev/tap$number; done
mount --rbind /dev/pts /run/dev/pts
mount --move /run/dev /dev
"""


def sh(host: PrivateHost, text: str) -> str:
    """Run a shell's text; it must succeed."""
    return host.run("sh", "-euc", text).ok().out


def bridge(host: PrivateHost) -> None:
    """A Linux bridge br0, and a sysfs of this namespace's own devices."""
    sh(
        host,
        "mount -t sysfs none /sys; ip link set lo up; ip link add br0 type bridge;"
        "ip link set br0 type bridge forward_delay 0; ip addr add 10.9.0.1/24 dev br0;"
        "ip link set br0 up",
    )


def openvswitch(host: PrivateHost) -> None:
    """An Open vSwitch bridge br0, in user space: not every kernel has the module."""
    sh(host, "mount -t sysfs none /sys")
    switch(host)
    sh(
        host,
        "ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev;"
        "ip addr add 10.9.0.1/24 dev br0; ip link set br0 up",
    )


def switch(host: PrivateHost) -> None:
    """The daemons of Open vSwitch, without a bridge."""
    sh(
        host,
        "ip link set lo up; mkdir -p /run/openvswitch;"
        f"ovsdb-tool create /run/openvswitch/conf.db {_SCHEMA};"
        "export OVS_LOGDIR=/run/openvswitch OVS_RUNDIR=/run/openvswitch;"
        "ovsdb-server --remote=punix:/run/openvswitch/db.sock --pidfile --detach --log-file"
        " /run/openvswitch/conf.db;"
        "ovs-vsctl --no-wait init;"
        f"{_VSWITCHD} unix:/run/openvswitch/db.sock --pidfile --detach --log-file"
        " --disable-system",
    )


def drivers(host: PrivateHost) -> None:
    """What has networks: on a modular host a daemon of its own."""
    if DAEMON != "libvirtd":
        Daemon(host, "virtnetworkd", "/run/virtnetworkd.pid").start()


def filters(host: PrivateHost) -> None:
    """A Linux bridge, and libvirt's own network filters."""
    if DAEMON != "libvirtd":
        pytest.skip("a peer of virtqemud has no network filters")
    there = [place for place in _FILTERS if list(place.glob("*.xml"))]
    assert there, "the package libvirt-daemon-config-nwfilter is missing"
    shutil.copytree(there[0], host.path("/etc/libvirt/nwfilter"), dirs_exist_ok=True)
    host.restart()
    assert "clean-traffic" in host.virsh("nwfilter-list").ok().out
    bridge(host)


def filtered(inside: str, more: str = "", card: str = CARD) -> str:
    """A card with clean-traffic."""
    ref = f"<filterref filter='clean-traffic'>{inside}</filterref>"
    return f"<interface type='bridge'><source bridge='br0'/>{more}{card}{ref}</interface>"


GIVEN = "<parameter name='IP' value='10.9.0.9'/>"


def lower_device(host: PrivateHost) -> None:
    """A bridge, and a card ``low`` whose other end is on it: what a macvtap stands on."""
    bridge(host)
    probe = "ip link add p0 type veth peer name p1; ip link add link p0 name p2 type macvtap"
    if host.run("sh", "-c", f"{probe} mode bridge").code:
        pytest.skip("this kernel has no macvtap")
    sh(host, f"ip link del p0; {_NODES}")
    # The N of /dev/tapN is the card's index in its namespace, and the machine has each node once:
    # two hosts with equal indices would get each other's cards. So each worker has its own.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    used = "link add used type bridge\nlink del used\n" * (40 * worker)
    assert host.run("ip", "-batch", "-", text=used).code == 0
    sh(
        host,
        "ip link add low type veth peer name high; ip link set low up;"
        "ip link set high master br0 up",
    )


def program(host: PrivateHost, text: str, *prefix: str) -> "subprocess.Popen[str]":
    """Start a Python program in the host's namespaces."""
    return subprocess.Popen(
        host.inside(*prefix, "/usr/bin/python3", "-c", text),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def traces(host: PrivateHost) -> list[str]:
    """What guests' cards are on the host: devices, ports of switches, filters' rules, passt."""
    found = sh(
        host,
        "ip -o link | sed 's/^[0-9]*: //; s/[:@].*//';"
        "[ ! -e /run/openvswitch/db.sock ] || ovs-vsctl list-ports br0 | sed 's/^/port /';"
        "ebtables -t nat -L | grep -v '^$' | sed 's/^/ebtables /;s/, entries:.*//';"
        "iptables -S | sed 's/^/iptables /'; ip6tables -S | sed 's/^/ip6tables /';"
        "ps -e -o args= | grep -E '^(/usr/bin/)?passt' || true",
    )
    of_a_process = r"(\b(?:vnet|macvtap|tap)|/passt/)\d+"
    return sorted(re.sub(of_a_process, r"\1N", line) for line in found.splitlines())


def unchanged(host: PrivateHost, was: list[str]) -> None:
    """Assert that nothing came or went."""
    now = traces(host)
    more, less = (sorted((Counter(a) - Counter(b)).elements()) for a, b in ((now, was), (was, now)))
    assert (more, less) == ([], []), f"more: {more}; less: {less}"


class Pings(NamedTuple):
    """How many were sent, which got no answer, the longest silence in s, and who answered."""

    sent: int
    lost: list[int]
    longest: float
    cards: list[str]


class Pinged:
    """Guest 1 as domain ``a`` with one card, which answers pings from another namespace.

    A context manager; ``over`` ends the pings and tells what came of them.
    """

    def __init__(self, host: PrivateHost, card: str, devices: str = "", access: int = 0) -> None:
        """``access``: the VLAN that it is on, of an Open vSwitch bridge; ``devices``: others."""
        assert any(rom.exists() for rom in ROMS), "the package ipxe-qemu is missing"
        self.host = host
        self._pings: subprocess.Popen[str] | None = None
        self._tag = f" tag={access}" if access else ""
        if access:
            sh(host, f"ovs-vsctl set port br0 tag={access}")
        self._server = program(host, netboot.SERVER)
        assert self._line(self._server) == "up\n"
        network = "<boot dev='network'/>"
        define(host, domain("a", 1, card + devices, os=network, memory=64))
        host.virsh("start", "a").ok()

    def plug(self) -> "Pinged":
        """Begin to ping; returns when the guest answers."""
        connect = "ip link set near master br0 up"
        if self.host.path("/run/openvswitch/db.sock").exists():
            connect = f"ovs-vsctl add-port br0 near{self._tag}; ip link set near up"
        sh(self.host, f"ip link add near type veth peer name far; {connect}")
        ready = "read -r ready; ip addr add 10.9.0.2/24 dev far; ip link set far up"
        pings = program(
            self.host, netboot.PINGS, "unshare", "--net", "sh", "-c",
            f'echo $$; {ready}; exec "$@"', "pings",
        )  # fmt: skip
        pid = self._line(pings).strip()
        sh(self.host, f"ip link set far netns {pid}")
        assert pings.stdin
        pings.stdin.write("ready\n")
        pings.stdin.flush()
        assert pings.stdout
        assert select.select([pings.stdout], [], [], PATIENCE)[0], "the guest never answered"
        assert self._line(pings) == "up\n"
        self._pings = pings
        return self

    @staticmethod
    def _line(running: "subprocess.Popen[str]") -> str:
        assert running.stdout
        return running.stdout.readline()

    def __enter__(self) -> "Pinged":
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._server, self._pings):
            if one is not None:
                one.kill()
                one.communicate()

    def over(self) -> Pings:
        """Assert that the guest answered till the end and was never silent for long."""
        seen = self.answers()
        assert seen.longest < LONGEST
        return seen

    def answers(self) -> Pings:
        """Assert that the guest answers in the end; it may have stood in between."""
        time.sleep(1.0)  # so many pings more
        assert self._pings
        seen = Pings(*json.loads(self._pings.communicate(timeout=60)[0]))
        print(
            f"pings: {seen.sent} sent, {len(seen.lost)} lost, silence {seen.longest * 1000:.0f} ms"
        )
        print("lost:", seen.lost)
        assert seen.cards == [MAC]
        assert seen.lost == [] or max(seen.lost) < seen.sent - 10, "it does not answer any more"
        return seen


def there_and_back_twice(host: PrivateHost, pinged: Pinged, look: str = "true") -> str:
    """Move it twice; pings go on, and the host is as before.

    Returns what ``look`` says while the guest is in the peer.
    """
    with pinged.plug():
        was, xml = traces(host), shown(host, "a")
        plan = [before("hop.move", f"{{ {look}; }} >/run/seen 2>&1", HOME)]
        uuidfs_at(host, plan, "local-migrate", "a").ok()
        unchanged(host, was)
        changed = differences(xml, shown(host, "a"))
        assert not changed, "\n".join(changed)
        move(host, "a")
        unchanged(host, was)
        pinged.over()
    seen = host.path("/run/seen").read_text()
    print(seen)
    return seen
