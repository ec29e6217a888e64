"""Network cards: which cannot move, and what they are in the peer."""

import pytest
from lxml import etree

from uuidfs.localmigration import devices, domain_xml
from uuidfs.localmigration.devices.facts import HostFacts, Link, from_text, to_text

HOST = HostFacts(
    {
        "tap1": Link("br0"),
        "tap2": Link("br0", vlans=True),
        "tap3": Link(),
        "tap4": Link("br0", isolated=True),
    },
    {"clean-traffic": True, "no-mac-spoofing": False},
)
MAC = "52:54:00:00:00:01"
OVS = "<virtualport type='openvswitch'><parameters interfaceid='i' profileid='p'/></virtualport>"


def xml(cards: str) -> str:
    return f"<domain type='kvm'><name>a</name><devices>{cards}</devices></domain>"


def card(kind: str, inside: str = "", mac: str = MAC) -> str:
    return f"<interface type='{kind}'><mac address='{mac}'/>{inside}</interface>"


def reasons(cards: str, host: HostFacts = HOST) -> list[str]:
    return devices.obstacles(domain_xml.parse(xml(cards)), host)


def meanwhile(migratable: str, live: str) -> list[str]:
    sent, before = domain_xml.parse(xml(migratable)), domain_xml.parse(xml(live))
    return devices.obstacles_meanwhile(sent, before, HOST)


def peers(migratable: str, live: str | None = None) -> list[etree._Element]:
    seen = domain_xml.parse(xml(live or migratable))
    away = domain_xml.parse(devices.in_peer(xml(migratable), seen, None, HOST))
    assert devices.at_home(xml(migratable), None) == etree.tostring(
        domain_xml.parse(xml(migratable)), encoding="unicode"
    )
    return away.findall("devices/interface")


def text(element: etree._Element) -> str:
    return etree.tostring(element, encoding="unicode")


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        (card("direct", "<source dev='e' mode='vepa'/>"), "macvtap in mode vepa"),
        (card("direct", "<source dev='e' mode='passthrough'/>"), "macvtap in mode passthrough"),
        (card("direct", "<source dev='e'/>"), "macvtap in mode vepa"),
        (card("network", "<source network='n'/>"), "a network without a bridge"),
        (card("vhostuser"), "an interface of type vhostuser: a switch's socket"),
        (card("vdpa", "<source dev='/dev/vhost-vdpa-0'/>"), "an interface of type vdpa: a device"),
        (card("hostdev"), "an interface of type hostdev: a host device"),
        (card("hostdev", "<source network='n'/>"), "an interface of type hostdev: a host device"),
        (card("mcast"), "an interface of type mcast"),
        (card("ethernet"), "its tap is on no Linux bridge"),
        (card("ethernet", "<target dev='tap1'/>"), "it would come home on no bridge"),
        (card("ethernet", "<target dev='tap2' managed='no'/>"), "its tap is on br0, where others"),
        (card("ethernet", "<target dev='tap3' managed='no'/>"), "its tap is on no Linux bridge"),
        (card("ethernet", "<script path='/s'/><target dev='tap9'/>"), "its tap is on no Linux bri"),
        (
            card("bridge", "<source bridge='b'/><virtualport type='midonet'/>"),
            "a virtual port of type midonet, which the switch knows once",
        ),
        (
            card("direct", "<source dev='e' mode='bridge'/><virtualport type='802.1Qbh'/>"),
            "a virtual port of type 802.1Qbh",
        ),
        (card("bridge", "<virtualport/>"), "a virtual port of type unknown"),
        (
            card("bridge", "<filterref filter='clean-traffic'/>"),
            "the network filter clean-traffic uses an address that libvirt has learnt",
        ),
        (card("bridge", "<filterref filter='gone'/>"), "the network filter gone is not among"),
    ],
)
def test_what_cannot_move_is_named(cards: str, reason: str) -> None:
    found = reasons(cards)
    assert len(found) == 1
    assert reason in found[0]
    assert found[0].startswith("interface ")
    assert meanwhile(cards, cards) == found


@pytest.mark.parametrize(
    "cards",
    [
        card("bridge", "<source bridge='b'/>"),
        card("bridge", f"<source bridge='b'/>{OVS}"),
        card("network", "<source network='n' bridge='virbr0'/>"),
        card("bridge", f"<source network='n' bridge='b'/>{OVS}"),
        card("direct", "<source dev='e' mode='bridge'/>"),
        card("ethernet", "<target dev='tap1' managed='no'/>"),
        card("ethernet", "<script path='/s'/><target dev='tap1'/>"),
        card("user"),
        card("user", "<backend type='passt'/><portForward proto='tcp'/>"),
        card("bridge", "<filterref filter='no-mac-spoofing'/>"),
        card(
            "bridge",
            "<filterref filter='clean-traffic'><parameter name='IP' value='10.0.0.1'/></filterref>",
        ),
    ],
)
def test_what_can_move_is_not_refused(cards: str) -> None:
    assert reasons(cards) == []


def test_filters_of_a_daemon_of_their_own() -> None:
    found = reasons(card("bridge", "<filterref filter='no-mac-spoofing'/>"), HostFacts())
    assert "the network filter no-mac-spoofing, which virtnwfilterd alone knows" in found[0]


def test_a_card_keeps_its_name_for_home() -> None:
    away = peers(card("bridge", "<source bridge='b'/><target dev='tap0' managed='yes'/>"))[0]
    assert '<target managed="yes"/>' in text(away)


def test_a_network_is_its_bridge_in_the_peer() -> None:
    """With all that the network gives the card; the floor of a limit is the network's own."""
    own = "<bandwidth><inbound average='9' floor='5'/></bandwidth><virtualport/>"
    given = (
        f"{OVS}<vlan><tag id='42'/></vlan><port isolated='yes'/>"
        "<bandwidth><inbound average='9' floor='5'/></bandwidth>"
    )
    away = peers(
        card("network", f"<source network='n' portgroup='g'/>{own}<model type='virtio'/>"),
        card("bridge", f"<source network='n' portgroup='g' portid='p' bridge='virbr0'/>{given}"),
    )[0]
    assert away.get("type") == "bridge"
    assert '<source bridge="virbr0"/>' in text(away)
    assert '<inbound average="9"/>' in text(away)
    assert [child.tag for child in away].count("virtualport") == 1
    for word in ('interfaceid="i"', '<tag id="42"/>', '<port isolated="yes"/>', "virtio"):
        assert word in text(away)


def test_a_network_is_its_macvtap_in_the_peer() -> None:
    live = card("direct", "<source network='n' portid='p' dev='eth0' mode='bridge'/>")
    away = peers(card("network", "<source network='n'/>"), live)[0]
    assert away.get("type") == "direct"
    assert '<source dev="eth0" mode="bridge"/>' in text(away)


def test_a_guest_with_a_macvtap_arrives_paused() -> None:
    for cards, paused in (
        (card("direct", "<source network='n' dev='eth0' mode='bridge'/>"), True),
        (card("bridge", "<source bridge='b'/>"), False),
        (card("user") + card("direct", "<source dev='e' mode='bridge'/>", "x"), True),
    ):
        assert devices.arrives_paused(domain_xml.parse(xml(cards))) is paused


def test_a_tap_of_somebody_elses_is_one_of_libvirts_in_the_peer() -> None:
    inside = "<script path='/s'/><downscript path='/d'/><target dev='%s' managed='no'/>"
    away = peers(card("ethernet", inside % "tap1" + "<model type='virtio'/>"))[0]
    assert away.get("type") == "bridge"
    assert [child.tag for child in away] == ["mac", "model", "source"]
    assert '<source bridge="br0"/>' in text(away)
    isolated = peers(card("ethernet", inside % "tap4"))[0]
    assert '<port isolated="yes"/>' in text(isolated)


def test_a_forwarded_port_is_the_hosts_until_its_process_ends() -> None:
    forward = "<backend type='passt'/><portForward proto='tcp'><range start='1'/></portForward>"
    away = peers(card("user", forward + forward))[0]
    assert [child.tag for child in away] == ["mac", "backend", "backend"]


def test_cards_are_told_by_their_address() -> None:
    one = card("network", "<source network='n'/>")
    new = card("bridge", "<source bridge='b'/>", "52:54:00:00:00:02")
    live = card("bridge", "<source network='n' bridge='virbr0'/>", MAC.upper())
    assert meanwhile(new + one, live) == [
        "interface (bridge): it was plugged in or changed a moment ago; try again"
    ]
    assert meanwhile(one, new + live) == [], "one was unplugged"
    away = peers(one, new + live)
    assert '<source bridge="virbr0"/>' in text(away[0])


def test_two_cards_with_one_address_are_told_by_their_order() -> None:
    away = peers(
        card("network", "<source network='n'/>") * 2,
        card("network", "<source network='n' bridge='b1'/>")
        + card("network", "<source network='n' bridge='b2'/>"),
    )
    assert ['bridge="b1"' in text(net) for net in away] == [True, False]


def test_a_card_that_was_changed_is_refused() -> None:
    network = card("network", "<source network='m'/>")
    live = card("bridge", "<source network='n' bridge='virbr0'/>")
    for changed in (network, card("user"), card("direct", "<source dev='e' mode='bridge'/>")):
        assert len(meanwhile(changed, live)) == 1


def test_what_the_hook_reads_is_what_the_preflight_saw() -> None:
    for facts in (HOST, HostFacts(), HostFacts({}, {})):
        assert from_text(to_text(facts)) == facts
    for bad in ("", "[]", "{}", '{"links": [], "filters": null}', '{"links": {"a": {"b": 1}}}'):
        with pytest.raises(ValueError, match=r"."):
            from_text(bad)
