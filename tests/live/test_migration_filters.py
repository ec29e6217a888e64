"""Network filters: the guest is never without them, and nobody else's rules are touched."""

import pytest

from tests.live.attack import PEER_URI
from tests.live.devices import console, define, domain
from tests.live.migration import counts, uuidfs, went_on
from tests.live.moving import ACPI, refused, wait_counting
from tests.live.networks import (
    GIVEN,
    Pinged,
    filtered,
    filters,
    sh,
    there_and_back_twice,
    traces,
    unchanged,
)
from tests.live.planned import HOME, before, uuidfs_at
from tests.live.private_host import PrivateHost


@pytest.fixture(autouse=True)
def _filters(ready: PrivateHost) -> None:
    """The hook, libvirt-python, libvirt's own filters, a bridge."""
    filters(ready)


RULES = "ebtables -t nat -L"


def test_a_filter_with_the_address_given(host: PrivateHost) -> None:
    """The peer's tap has the rules before the guest uses it, and another guest keeps its own."""
    other = "<mac address='52:54:00:00:00:19'/><model type='virtio'/>"
    ref = "<parameter name='IP' value='10.9.0.19'/>"
    define(host, domain("b", 2, console(2) + filtered(ref, "<target dev='tapb'/>", other)))
    host.virsh("start", "b").ok()
    theirs = rules_of(host, "tapb")
    assert len(theirs) > 10
    seen = there_and_back_twice(
        host, Pinged(host, filtered(GIVEN)), f"{RULES}; virsh -c '{PEER_URI}' nwfilter-binding-list"
    )
    assert "Bridge chain: I-vnet" in seen
    assert "10.9.0.9" in seen
    assert "clean-traffic" in seen.split("Port Dev")[1]
    assert rules_of(host, "tapb") == theirs


def test_a_network_of_the_hosts_keeps_its_rules(host: PrivateHost) -> None:
    """The peer has a driver for networks, too, and no network."""
    nat = (
        "<network><name>n</name><forward mode='nat'/><bridge name='virbr9'/><dns enable='no'/>"
        "<ip address='10.8.0.1' netmask='255.255.255.0'/></network>"
    )
    define(host, nat, "net-define")
    host.virsh("net-start", "n").ok()
    define(host, domain("a", 1, console(1) + filtered(GIVEN)))
    host.virsh("start", "a").ok()
    wait_counting(host, 1)
    every = "for of in filter nat mangle; do iptables -t $of -S; done; nft list tables || true"
    was, were = sh(host, every), traces(host)
    assert "10.8.0" in was or "libvirt" in was
    uuidfs(host, "local-migrate", "a").ok()
    assert sh(host, every) == was
    unchanged(host, were)


def rules_of(host: PrivateHost, tap: str) -> list[str]:
    """The rules of one guest's card."""
    found, inside = [], False
    for line in filter(None, sh(host, RULES).splitlines()):
        inside = f"-{tap}" in line if line.startswith("Bridge chain") else inside
        if inside or tap in line:
            found.append(line)
    return found


def test_a_learnt_address_is_refused(host: PrivateHost) -> None:
    define(host, domain("a", 1, console(1) + filtered("")))
    host.virsh("start", "a").ok()
    wait_counting(host, 1)
    refused(host, "a", "the network filter clean-traffic uses an address that libvirt has learnt")
    dhcp = "<parameter name='CTRL_IP_LEARNING' value='dhcp'/>"
    define(host, domain("b", 2, console(2) + filtered(dhcp)))
    host.virsh("start", "b").ok()
    wait_counting(host, 2)
    refused(host, "b", "the network filter clean-traffic uses an address that libvirt has learnt")


@pytest.mark.full
def test_a_filter_that_goes_meanwhile(host: PrivateHost) -> None:
    """No running guest uses it then, by the host's daemon. The guest stays in the peer, with its
    rules, until the filter is there again: it never runs without."""
    with Pinged(host, filtered(GIVEN)).plug():
        was = traces(host)
        sh(host, "virsh nwfilter-dumpxml clean-traffic >/run/filter.xml")
        plan = [before("hop.move", "virsh nwfilter-undefine clean-traffic", HOME)]
        said = uuidfs_at(host, plan, "local-migrate", "a")
        assert said.code == 1
        assert "referenced filter 'clean-traffic' is missing; the guest runs on in the" in said.err
        assert "10.9.0.9" in sh(host, RULES)
        host.virsh("nwfilter-define", "/run/filter.xml").ok()
        uuidfs(host, "local-migrate", "--recover", "a").ok()
        unchanged(host, was)


def test_a_card_plugged_in_before_the_hop(host: PrivateHost) -> None:
    """Neither the order of the cards nor a new one leads to a wrong bridge: the trip is refused."""
    host.path("/run/card.xml").write_text(
        "<interface type='bridge'><source bridge='br0'/><mac address='52:54:00:00:00:01'/>"
        "</interface>"
    )
    define(host, domain("a", 1, console(1) + filtered(GIVEN), top=ACPI))
    host.virsh("start", "a").ok()
    wait_counting(host, 1)
    plug = "virsh attach-device a /run/card.xml --live"
    said = uuidfs_at(host, [before("hop.move", plug)], "local-migrate", "a")
    assert said.code == 1
    assert "it was plugged in or changed a moment ago; try again" in said.err
    uuidfs(host, "local-migrate", "a").ok()
    wait_counting(host, 1)
    went_on(counts(host))
