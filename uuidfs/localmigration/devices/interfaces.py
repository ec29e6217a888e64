"""Network cards: what they are connected to on the host.

Both processes have a tap at once for the length of a hop, each with its own name, and on the same
switch. The source's is the one that the guest uses until QEMU hands over.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from copy import deepcopy

from lxml import etree

from uuidfs.localmigration.devices import filters
from uuidfs.localmigration.devices.facts import HostFacts, Link
from uuidfs.localmigration.domain_xml import label

_ONE_PROCESS = {
    "vhostuser": "an interface of type vhostuser: a switch's socket, which one process has",
    "vdpa": "an interface of type vdpa: a device of the host, which one process has",
    "hostdev": "an interface of type hostdev: a host device is passed through",
}

# What a network or its portgroup gives a card; the XML of the live domain shows it.
_GIVEN = ("virtualport", "vlan", "bandwidth", "port")


def obstacles(live: etree._Element, facts: HostFacts) -> Iterator[str]:
    """Why a card cannot move, each with its name; of the live XML, which names bridges."""
    for net in live.iterfind("devices/interface"):
        if (why := _obstacle(net, net, facts)) is not None:
            yield f"{label(net)}: {why}"


def obstacles_meanwhile(
    migratable: etree._Element, live: etree._Element, facts: HostFacts
) -> Iterator[str]:
    """The same for the XML that libvirt sends, and for cards plugged in since ``live``."""
    for net, seen in _pairs(migratable, live):
        why: str | None = "it was plugged in or changed a moment ago; try again"
        if seen is not None:
            why = _obstacle(net, seen, facts)
        if why is not None:
            yield f"{label(net)}: {why}"


def arrives_paused(domain: etree._Element) -> bool:
    """Whether a card keeps the guest from running before its old process has ended.

    Of two macvtaps with one address on one device the kernel lets one be up (macvlan_open,
    EADDRINUSE), and libvirt sets the destination's up when it lets the guest run.
    """
    return any(net.get("type") == "direct" for net in _cards(domain))


def _cards(domain: etree._Element) -> Iterator[etree._Element]:
    yield from domain.iterfind("devices/interface")


def _pairs(
    domain: etree._Element, live: etree._Element
) -> Iterator[tuple[etree._Element, etree._Element | None]]:
    """Each card with its description in the live XML, None where that has another card.

    By its address, since what is plugged in between changes the order; those with one address in
    their order. A network's card has there the type that the network stands for.
    """
    known = defaultdict[tuple[str, ...], deque[etree._Element]](deque)
    for net in _cards(live):
        known[_key(net)].append(net)
    for net in _cards(domain):
        same = known[_key(net)]
        seen = same.popleft() if same else None
        if seen is not None and net.get("type") not in {"network", seen.get("type")}:
            seen = None
        yield net, seen


def _key(net: etree._Element) -> tuple[str, ...]:
    mac = net.find("mac")
    address = mac.get("address", "") if mac is not None else ""
    return address.lower(), _source(net, "network") or ""


def _obstacle(net: etree._Element, seen: etree._Element, facts: HostFacts) -> str | None:
    """``seen`` is the same card in the live XML, which names taps and what a network stands for."""
    real = seen if net.get("type") == "network" else net
    return _connection(real, seen, facts) or _virtual_port(real) or filters.obstacle(net, facts)


def _connection(net: etree._Element, seen: etree._Element, facts: HostFacts) -> str | None:
    kind = net.get("type")
    if kind in {"bridge", "user"} or (kind == "network" and _source(net, "bridge")):
        return None
    if kind == "direct":
        mode = _source(net, "mode") or "vepa"
        if mode != "bridge":
            return f"macvtap in mode {mode}; only those in mode bridge are moved"
        return None
    if kind == "network":
        return "a network without a bridge"
    if kind == "ethernet":
        return _own_tap(seen, facts)
    return _ONE_PROCESS.get(kind or "", f"an interface of type {kind}")


def _own_tap(seen: etree._Element, facts: HostFacts) -> str | None:
    link = _link(seen, facts)
    if link.bridge is None:
        return "its tap is on no Linux bridge that a second one could be on"
    if link.vlans:
        return f"its tap is on {link.bridge}, where others have given it its VLANs"
    target = seen.find("target")
    managed = target is None or target.get("managed") != "no"
    if managed and seen.find("script") is None:
        return "it would come home on no bridge: its tap is a new one, and no <script> joins it"
    return None


def _link(net: etree._Element, facts: HostFacts) -> Link:
    target = net.find("target")
    name = target.get("dev") if target is not None else None
    return facts.links.get(name or "", Link())


def _virtual_port(net: etree._Element) -> str | None:
    port = net.find("virtualport")
    if port is None or port.get("type") == "openvswitch":
        return None
    return f"a virtual port of type {port.get('type') or 'unknown'}, which the switch knows once"


def _source(net: etree._Element, attribute: str) -> str | None:
    source = net.find("source")
    return source.get(attribute) if source is not None else None


def to_peer(domain: etree._Element, live: etree._Element, facts: HostFacts) -> None:
    """Cards on the same switches, under other names. ``live`` tells what a network stands for."""
    for net, seen in _pairs(domain, live):
        target = net.find("target")
        if target is not None:  # a name of somebody's own: the host's tap has it until it ends
            target.attrib.pop("dev", "")
        if net.get("type") == "network" and seen is not None:
            _without_network(net, seen)
        elif net.get("type") == "ethernet" and seen is not None:
            _on_its_bridge(net, _link(seen, facts))
        for forward in net.findall("portForward"):  # the host's passt listens until it ends
            net.remove(forward)


def _without_network(net: etree._Element, seen: etree._Element) -> None:
    """The peer has no networks: what this one stands for, with what it gives the card."""
    for given in _GIVEN:
        for old in net.findall(given):
            net.remove(old)
        net.extend(deepcopy(seen.findall(given)))
    for inbound in net.iterfind("bandwidth/inbound"):
        inbound.attrib.pop("floor", "")  # of the network's own bandwidth
    source = net.find("source")
    if source is None:
        return
    source.attrib.clear()
    if bridge := _source(seen, "bridge"):
        net.set("type", "bridge")
        source.set("bridge", bridge)
    else:
        net.set("type", "direct")
        for attribute in ("dev", "mode"):
            source.set(attribute, _source(seen, attribute) or "")


def _on_its_bridge(net: etree._Element, link: Link) -> None:
    """One of libvirt's taps in place of one of somebody else's, which has room for one process, or
    of one that a <script> connects, which may not know that there are two for a while."""
    net.set("type", "bridge")
    for tag in ("source", "script", "downscript", "target"):
        for old in net.findall(tag):
            net.remove(old)
    etree.SubElement(net, "source", bridge=link.bridge or "")
    if link.isolated:
        etree.SubElement(net, "port", isolated="yes")
