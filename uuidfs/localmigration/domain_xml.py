"""What a domain's XML says about moving it: what cannot move, and what it is in the peer.

Pure: XML in, XML or reasons out. libvirt's ABI check (virDomainDefCheckABIStability, 9.0 and
11.3) allows everything that is changed here, since the guest cannot see it.
"""

from collections.abc import Iterator
from typing import Any

from lxml import etree

from uuidfs.errors import UuidfsError

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)

_CONSOLES = ("serial", "parallel", "console", "channel")

# What two QEMU processes can have at once, or what is taken away for the time in the peer.
_BACKENDS = frozenset({"null", "unix", "tcp", "file", "pty", "spicevmc", "qemu-vdagent"})

METADATA = "urn:uuidfs:local-migration"

"""The namespace of the token that only the way home carries; libvirt keeps one element of it."""

_FOREIGN = "a QEMU process of its own keeps a state that cannot be in two places"


def parse(xml: str) -> etree._Element:
    """Parse what libvirt gave us; raises UuidfsError."""
    try:
        return etree.fromstring(xml.encode(), _PARSER)
    except etree.XMLSyntaxError as error:
        raise UuidfsError(f"libvirt gave XML that cannot be parsed: {error}") from error


def found(element: etree._Element, path: str) -> list[Any]:
    """What an XPath expression selects: elements, or strings where it names attributes."""
    result = element.xpath(path)
    return result if isinstance(result, list) else []


def obstacles(domain: etree._Element) -> list[str]:
    """Why this running domain cannot move, each with the device's name; empty when it can."""
    return [
        *_device_obstacles(domain),
        *_disk_obstacles(domain),
        *_net_obstacles(domain),
        *_backend_obstacles(domain),
    ]


def obstacles_meanwhile(migratable: etree._Element) -> list[str]:
    """The same for the XML that libvirt sends: what was plugged in since the preflight."""
    return [
        *_device_obstacles(migratable),
        *_disk_obstacles(migratable),
        *_backend_obstacles(migratable),
    ]


def _device_obstacles(domain: etree._Element) -> Iterator[str]:
    for path, what in (
        ("hostdev", "a host device is passed through"),
        ("filesystem", "a directory of the host is mounted in the guest"),
        ("shmem", "shared memory of the host"),
        ("vsock", "its CID cannot be taken by two QEMU processes"),
        ("memory[@model='nvdimm']", "its file cannot be mapped by two QEMU processes"),
        ("memory[@model='virtio-pmem']", "its file cannot be mapped by two QEMU processes"),
        ("input[@type='passthrough']", "a device of the host"),
        ("input[@type='evdev']", "a device of the host"),
        ("smartcard[not(@mode='passthrough' and @type='spicevmc')]", "a device of the host"),
        ("redirdev[not(@type='spicevmc')]", "its backend cannot be in two places"),
        ("rng/backend[@model='egd']", "its backend cannot be in two places"),
    ):
        for device in found(domain, f"devices/{path}"):
            yield f"{_label(device)}: {what}"
    for device in domain.iterfind("devices/tpm"):
        backend = device.find("backend")
        model = backend.get("type") if backend is not None else "unknown"
        yield f"tpm ({model}): {_FOREIGN}"
    if domain.find("launchSecurity") is not None:
        yield "launchSecurity: an encrypted guest cannot be moved by libvirt"
    for element in domain:
        name = etree.QName(element)
        if name.namespace and "libvirt.org/schemas/domain/qemu" in name.namespace:
            yield f"qemu:{name.localname}: QEMU's own options may clash with themselves"


def _disk_obstacles(domain: etree._Element) -> Iterator[str]:
    for disk in domain.iterfind("devices/disk"):
        kind = disk.get("type")
        if kind in {"volume", "vhostuser", "nvme", "vhostvdpa", "dir"}:
            yield f"{_label(disk)}: a disk of type {kind}"
        if disk.find("transient") is not None:
            yield f"{_label(disk)}: a transient disk"
        if disk.find(".//secret") is not None:
            yield f"{_label(disk)}: its secret is known to the host's daemon only"
        if disk.find(".//reservations") is not None:
            yield f"{_label(disk)}: persistent reservations"


def _net_obstacles(domain: etree._Element) -> Iterator[str]:
    for net in domain.iterfind("devices/interface"):
        kind = net.get("type")
        backend = net.find("backend")
        if kind not in {"bridge", "network", "user"}:
            yield f"{_label(net)}: an interface of type {kind}"
        elif backend is not None and backend.get("type") == "passt":
            yield f"{_label(net)}: its passt process cannot be in two places"
        elif net.find("filterref") is not None:
            yield f"{_label(net)}: a network filter, which the host's daemon alone knows"
        elif net.find("virtualport") is not None:
            yield f"{_label(net)}: a virtual port, which the switch knows once"
        elif kind == "network" and not _bridge(net):
            yield f"{_label(net)}: a network without a bridge"


def _backend_obstacles(domain: etree._Element) -> Iterator[str]:
    for tag in _CONSOLES:
        for device in domain.iterfind(f"devices/{tag}"):
            if device.get("type") not in _BACKENDS:
                yield f"{_label(device)}: a backend of type {device.get('type')}"
            elif device.find("log") is not None:
                yield f"{_label(device)}: a console log, which the host's virtlogd writes"
    for graphics in domain.iterfind("devices/graphics"):
        if graphics.get("type") not in {"vnc", "spice"}:
            yield f"{_label(graphics)}: graphics of type {graphics.get('type')}"


def _label(device: etree._Element) -> str:
    """What people call a device: its tag, and its alias, target or type."""
    names = (device.find("target"), "dev"), (device.find("alias"), "name")
    for element, attribute in names:
        if element is not None and element.get(attribute):
            return f"{device.tag} {element.get(attribute)}"
    return f"{device.tag} ({device.get('type') or device.get('model') or 'default'})"


def _bridge(net: etree._Element) -> str | None:
    source = net.find("source")
    return source.get("bridge") if source is not None else None


def set_emulator(domain: etree._Element, emulator: str | None) -> None:
    """Give the domain another QEMU binary, where one is asked for."""
    found = domain.find("devices/emulator")
    if emulator is not None and found is not None:
        found.text = emulator


def in_peer(migratable: str, live: etree._Element, emulator: str | None) -> str:
    """The XML for the way out: everything that only one process can have is taken away."""
    domain = parse(migratable)
    set_emulator(domain, emulator)
    for tag in _CONSOLES:
        for device in domain.iterfind(f"devices/{tag}"):
            _disconnect(device)
    for graphics in domain.iterfind("devices/graphics"):
        _hide(graphics)
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
    # The host's security driver removes its profile of this UUID when the first process ends.
    for label in domain.findall("seclabel"):
        if label.get("model") not in {None, "dac", "none"} or label.get("type") == "dynamic":
            domain.remove(label)
    return etree.tostring(domain, encoding="unicode")


def _disconnect(device: etree._Element) -> None:
    """A backend that nobody can be connected to; a file is gone on with."""
    kind = device.get("type")
    if kind == "file":
        _append(device)
    elif kind in {"unix", "tcp", "pty"}:
        device.set("type", "null")
        device.attrib.pop("tty", "")
        for child in list(device):
            if child.tag in {"source", "protocol", "log"}:
                device.remove(child)


def _append(device: etree._Element) -> None:
    source = device.find("source")
    if source is not None:
        source.set("append", "on")


def _hide(graphics: etree._Element) -> None:
    """A socket that libvirt makes in the peer's own directory: no port, open to nobody."""
    for attribute in ("port", "tlsPort", "websocket", "autoport", "listen", "socket"):
        graphics.attrib.pop(attribute, "")
    for listen in graphics.findall("listen"):
        graphics.remove(listen)
    graphics.insert(0, etree.Element("listen", type="socket"))


def at_home(migratable: str, emulator: str | None) -> str:
    """The XML for the way back: as it was. A file that a console wrote is not truncated."""
    domain = parse(migratable)
    set_emulator(domain, emulator)
    for tag in _CONSOLES:
        for device in domain.iterfind(f"devices/{tag}[@type='file']"):
            _append(device)
    return etree.tostring(domain, encoding="unicode")


def with_token(xml: str, token: str) -> str:
    """The XML with the session's token, by which hooks/qemu tells the way home from a start."""
    domain = parse(xml)
    metadata = domain.find("metadata")
    if metadata is None:
        metadata = etree.SubElement(domain, "metadata")
    for old in metadata.findall(f"{{{METADATA}}}trip"):
        metadata.remove(old)
    element = etree.SubElement(metadata, f"{{{METADATA}}}trip", nsmap={"uuidfs": METADATA})
    element.set("token", token)
    return etree.tostring(domain, encoding="unicode")


def renamed(xml: str, name: str) -> str:
    """The same domain under another name."""
    domain = parse(xml)
    found = domain.find("name")
    if found is not None:
        found.text = name
    return etree.tostring(domain, encoding="unicode")


def renamed_inside(xml: str, name: str | None) -> str:
    """A snapshot's or checkpoint's XML with the domain in it under another name, if any."""
    if name is None:
        return xml
    document = parse(xml)
    for tag in ("domain", "inactiveDomain"):
        for found in document.iterfind(f"{tag}/name"):
            found.text = name
    return etree.tostring(document, encoding="unicode")


def with_parent(xml: str, parent: str) -> str:
    """A snapshot's or checkpoint's XML with this parent; an empty name stands for none."""
    document = parse(xml)
    there = document.find("parent")
    if (document.findtext("parent/name") or "") == parent:
        return xml
    if there is not None:
        document.remove(there)
    if parent:
        etree.SubElement(etree.SubElement(document, "parent"), "name").text = parent
    return etree.tostring(document, encoding="unicode")


def set_emulator_text(xml: str, emulator: str) -> str | None:
    """The XML with another emulator; None when it has that one already."""
    domain = parse(xml)
    if domain.findtext("devices/emulator") == emulator:
        return None
    set_emulator(domain, emulator)
    return etree.tostring(domain, encoding="unicode")
