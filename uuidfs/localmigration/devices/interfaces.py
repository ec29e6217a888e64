"""Network cards: what they are connected to on the host."""

from collections.abc import Iterator

from lxml import etree

from uuidfs.localmigration.domain_xml import label


def obstacles(domain: etree._Element) -> Iterator[str]:
    """Why a card cannot move, each with its name; of the live XML, which names bridges."""
    for net in domain.iterfind("devices/interface"):
        kind = net.get("type")
        backend = net.find("backend")
        if kind not in {"bridge", "network", "user"}:
            yield f"{label(net)}: an interface of type {kind}"
        elif backend is not None and backend.get("type") == "passt":
            yield f"{label(net)}: its passt process cannot be in two places"
        elif net.find("filterref") is not None:
            yield f"{label(net)}: a network filter, which the host's daemon alone knows"
        elif net.find("virtualport") is not None:
            yield f"{label(net)}: a virtual port, which the switch knows once"
        elif kind == "network" and not _bridge(net):
            yield f"{label(net)}: a network without a bridge"


def _bridge(net: etree._Element) -> str | None:
    source = net.find("source")
    return source.get("bridge") if source is not None else None


def to_peer(domain: etree._Element, live: etree._Element) -> None:
    """Cards on the same bridges, under other names. ``live`` tells a network's bridge."""
    bridges = [_bridge(net) for net in live.iterfind("devices/interface")]
    for net, bridge in zip(domain.iterfind("devices/interface"), bridges, strict=True):
        target = net.find("target")
        if target is not None:  # a name of somebody's own: the host's tap has it until it ends
            target.attrib.pop("dev", "")
        if net.get("type") == "network":
            net.set("type", "bridge")
            source = net.find("source")
            if source is not None and bridge is not None:
                source.attrib.clear()
                source.set("bridge", bridge)
