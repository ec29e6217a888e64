"""VNC and SPICE: hidden in the peer, since their ports are the host's until it ends."""

from collections.abc import Iterator

from lxml import etree

from uuidfs.localmigration.domain_xml import label


def obstacles(domain: etree._Element) -> Iterator[str]:
    """Why graphics cannot move, each with its name."""
    for graphics in domain.iterfind("devices/graphics"):
        if graphics.get("type") not in {"vnc", "spice"}:
            yield f"{label(graphics)}: graphics of type {graphics.get('type')}"


def to_peer(domain: etree._Element) -> None:
    """A socket that libvirt makes in the peer's own directory: no port, open to nobody."""
    for graphics in domain.iterfind("devices/graphics"):
        for attribute in ("port", "tlsPort", "websocket", "autoport", "listen", "socket"):
            graphics.attrib.pop(attribute, "")
        for listen in graphics.findall("listen"):
            graphics.remove(listen)
        graphics.insert(0, etree.Element("listen", type="socket"))
