"""Network cards of all kinds: the guest answers pings on the way and afterwards, and nothing of
the other process is left on the host."""

import re

import pytest

from tests.live.attack import PEER
from tests.live.devices import console, define, domain
from tests.live.migration import counts, went_on
from tests.live.moving import move, refused, wait_counting
from tests.live.networks import (
    CARD,
    MAC,
    Pinged,
    bridge,
    lower_device,
    openvswitch,
    sh,
    there_and_back_twice,
    traces,
)
from tests.live.private_host import SOCKET, PrivateHost


@pytest.fixture(autouse=True)
def _able(ready: PrivateHost) -> None:
    """The hook, and libvirt-python."""


IN_PEER = (
    f"virsh -c 'qemu+unix:///system?socket={PEER}/run/{SOCKET}' dumpxml a-incoming | "
    "sed -n '/<interface/,/<.interface/p'"
)
PORT_ID = "11111111-2222-3333-4444-555555555555"
PORT = (
    "<virtualport type='openvswitch'><parameters profileid='p' "
    f"interfaceid='{PORT_ID}'/></virtualport>"
)
OF_PORTS = "ovs-vsctl --format=csv --no-headings --columns=name,external_ids list interface"


def card(kind: str, inside: str) -> str:
    """A card of the guest's."""
    return f"<interface type='{kind}'>{inside}{CARD}</interface>"


def test_an_openvswitch_port_of_nova(host: PrivateHost) -> None:
    """With the port's id, by which Neutron or OVN knows it, in both processes."""
    openvswitch(host)
    port = card("bridge", f"<source bridge='br0'/>{PORT}<target dev='tapnova'/>")
    seen = there_and_back_twice(host, Pinged(host, port), f"{OF_PORTS}; {IN_PEER}")
    ports = [line for line in seen.splitlines() if PORT_ID in line and line.startswith("vnet")]
    assert len(ports) == 1, seen
    assert MAC in ports[0]
    assert "profileid='p'" in seen


@pytest.mark.full
def test_a_network_on_openvswitch_with_vlan_and_limits(host: PrivateHost) -> None:
    """All that the network gives its cards, the peer's card has as well: it has no networks."""
    openvswitch(host)
    network = (
        "<network><name>n</name><forward mode='bridge'/><bridge name='br0'/>"
        "<virtualport type='openvswitch'/><portgroup name='g' default='yes'>"
        "<vlan><tag id='42'/></vlan></portgroup></network>"
    )
    define(host, network, "net-define")
    host.virsh("net-start", "n").ok()
    named = f"<virtualport><parameters interfaceid='{PORT_ID}'/></virtualport>"
    limits = "<bandwidth><inbound average='1000000'/><outbound average='1000000'/></bandwidth>"
    port = card("network", f"<source network='n' portgroup='g'/>{named}{limits}")
    pinged = Pinged(host, port, access=42)
    tags = "ovs-vsctl --format=csv --no-headings --columns=name,tag,qos list port"
    seen = there_and_back_twice(host, pinged, f"{tags}; {IN_PEER}; ovs-vsctl list qos")
    assert "<tag id='42'/>" in seen
    assert "average='1000000'" in seen
    print(sh(host, f"{tags}; ovs-vsctl list qos"))


def test_macvtap_in_bridge_mode(host: PrivateHost) -> None:
    lower_device(host)
    port = card("direct", "<source dev='low' mode='bridge'/>")
    seen = there_and_back_twice(host, Pinged(host, port), f"{IN_PEER}; ip -br link")
    assert "<interface type='direct'>" in seen
    assert len(re.findall(r"macvtap\d+@low", seen)) == 1, "one of the two is left there"


@pytest.mark.full
def test_macvtap_of_a_network(host: PrivateHost) -> None:
    lower_device(host)
    network = "<network><name>n</name><forward mode='bridge'><interface dev='low'/></forward>"
    define(host, f"{network}</network>", "net-define")
    host.virsh("net-start", "n").ok()
    seen = there_and_back_twice(
        host, Pinged(host, card("network", "<source network='n'/>")), IN_PEER
    )
    assert "<interface type='direct'>" in seen


@pytest.mark.parametrize("queues", [1, pytest.param(2, marks=pytest.mark.full)])
def test_a_tap_of_somebody_elses_on_a_bridge(host: PrivateHost, queues: int) -> None:
    """The peer has one of libvirt's on the same bridge: this one has room for one process."""
    bridge(host)
    several = " multi_queue" if queues > 1 else ""
    sh(host, f"ip tuntap add tapeth mode tap{several}; ip link set tapeth master br0 up")
    driver = f"<driver queues='{queues}'/>" if queues > 1 else ""
    port = card("ethernet", f"{driver}<target dev='tapeth' managed='no'/>")
    seen = there_and_back_twice(host, Pinged(host, port), IN_PEER)
    assert "<interface type='bridge'>" in seen
    assert "<source bridge='br0'/>" in seen


def test_a_tap_that_a_script_connects(host: PrivateHost) -> None:
    bridge(host)
    script = host.path("/run/ifup")
    script.write_text("#!/bin/sh\necho $1 >>/run/ups\nip link set $1 master br0 up\n")
    script.chmod(0o755)
    port = card("ethernet", "<script path='/run/ifup'/>")
    there_and_back_twice(host, Pinged(host, port), IN_PEER)
    print(host.path("/run/ups").read_text())


def test_taps_that_nobody_could_stand_in_for(host: PrivateHost) -> None:
    bridge(host)
    sh(host, "ip tuntap add tapeth mode tap; ip link set tapeth up")
    alone = card("ethernet", "<target dev='tapeth' managed='no'/>")
    with Pinged(host, alone):
        refused(host, "a", "interface tapeth: its tap is on no Linux bridge that a second one")
        host.virsh("destroy", "a").ok()
    with Pinged(host, card("ethernet", "<target dev='tapown'/>")):
        refused(host, "a", "its tap is on no Linux bridge that a second one could be on")
        sh(host, "ip link set tapown master br0")
        refused(host, "a", "it would come home on no bridge")


def test_passt_with_a_forwarded_port(host: PrivateHost) -> None:
    """In the peer without: the host's passt listens until its guest has gone."""
    sh(
        host,
        "ip link set lo up; ip link add up0 type veth peer name up1; ip link set up1 up;"
        "ip addr add 10.5.0.2/24 dev up0; ip link set up0 up; ip route add default via 10.5.0.1",
    )
    forward = "<portForward proto='tcp'><range start='2222' to='22'/></portForward>"
    xml = domain("a", 1, console(1) + card("user", f"<backend type='passt'/>{forward}"))
    host.path("/run/passt.xml").write_text(xml)
    if "value for attribute 'type'" in host.virsh("define", "/run/passt.xml").err:
        pytest.skip("this libvirt has no passt")
    host.virsh("start", "a").ok()
    wait_counting(host, 1)
    was = listening(host), traces(host)
    assert "08AE" in was[0]
    for _ in range(2):
        move(host, "a")
        wait_counting(host, 1)
        assert (listening(host), traces(host)) == was
    went_on(counts(host))


def listening(host: PrivateHost) -> list[str]:
    """The ports that somebody listens on, in hexadecimal."""
    return re.findall(r"^ *\d+: \w+:(\w+) \w+:\w+ 0A", sh(host, "cat /proc/net/tcp*"), re.MULTILINE)
