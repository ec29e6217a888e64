"""Serial ports, parallel ports, consoles and channels: what they are connected to on the host."""

from collections.abc import Iterator

from lxml import etree

from uuidfs.localmigration.domain_xml import label

_TAGS = ("serial", "parallel", "console", "channel")

# What two QEMU processes can have at once, or what is taken away for the time in the peer.
# QEMU (7.2, 10.0) does not migrate a qemu-vdagent.
_BACKENDS = frozenset({"null", "unix", "tcp", "file", "pty", "spicevmc"})


def obstacles(domain: etree._Element) -> Iterator[str]:
    """Why a console cannot move, each with its name."""
    for device in _all(domain):
        if device.get("type") not in _BACKENDS:
            yield f"{label(device)}: a backend of type {device.get('type')}"
        elif device.find("log") is not None:
            yield f"{label(device)}: a console log, which the host's virtlogd writes"


def _all(domain: etree._Element) -> Iterator[etree._Element]:
    for tag in _TAGS:
        yield from domain.iterfind(f"devices/{tag}")


def to_peer(domain: etree._Element) -> None:
    """Backends that nobody can be connected to; a file is gone on with."""
    for device in _all(domain):
        kind = device.get("type")
        if kind == "file":
            _append(device)
        elif kind in {"unix", "tcp", "pty"}:
            device.set("type", "null")
            device.attrib.pop("tty", "")
            for child in list(device):
                if child.tag in {"source", "protocol", "log"}:
                    device.remove(child)


def to_home(domain: etree._Element) -> None:
    """As it was; a file that a console wrote is not truncated."""
    for device in _all(domain):
        if device.get("type") == "file":
            _append(device)


def _append(device: etree._Element) -> None:
    source = device.find("source")
    if source is not None:
        source.set("append", "on")
