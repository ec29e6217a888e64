"""Serial ports, parallel ports, consoles and channels: what they are connected to on the host."""

from collections.abc import Iterator, Mapping
from posixpath import normpath
from types import MappingProxyType

from lxml import etree

from uuidfs.localmigration.domain_xml import label

_TAGS = ("serial", "parallel", "console", "channel")

# What one process alone can have: nobody is connected to the one in the peer.
_TAKEN_AWAY = frozenset({"unix", "tcp", "udp", "pty", "dev", "pipe"})

NOWHERE: Mapping[str, str] = MappingProxyType({})

# QEMU (7.2, 10.0) does not migrate a qemu-vdagent.
_BACKENDS = _TAKEN_AWAY | {"null", "file", "spicevmc"}


def obstacles(domain: etree._Element) -> Iterator[str]:
    """Why a console cannot move, each with its name."""
    for device in _all(domain):
        if device.get("type") not in _BACKENDS:
            yield f"{label(device)}: a backend of type {device.get('type')}"


def _all(domain: etree._Element) -> Iterator[etree._Element]:
    for tag in _TAGS:
        yield from domain.iterfind(f"devices/{tag}")


def to_peer(domain: etree._Element, elsewhere: Mapping[str, str] = NOWHERE) -> None:
    """Backends that nobody can be connected to; files and logs are gone on with.

    Those in a directory of ``elsewhere`` have another path in the peer. There is no virtlogd for
    the peer (stdio_handler in its qemu.conf): libvirt opens a log itself, and QEMU writes to it,
    whatever the backend.
    """
    for device in _all(domain):
        if device.get("type") in _TAKEN_AWAY:
            device.set("type", "null")
            device.attrib.pop("tty", "")
            for child in list(device):
                if child.tag in {"source", "protocol"}:
                    device.remove(child)
        for file in _append(device):
            file.set(_path(file), _seen(file.get(_path(file), ""), elsewhere))


def to_home(domain: etree._Element) -> None:
    """As it was; what a console has written to a file or log is not truncated."""
    for device in _all(domain):
        _append(device)


def _append(device: etree._Element) -> list[etree._Element]:
    files = device.findall("log")
    if device.get("type") == "file":
        files += device.findall("source")
    for file in files:
        file.set("append", "on")
    return files


def _path(file: etree._Element) -> str:
    return "file" if file.tag == "log" else "path"


def _seen(path: str, elsewhere: Mapping[str, str]) -> str:
    """The path by which the peer sees this file of the host's."""
    plain = normpath(path)
    for directory, there in elsewhere.items():
        if plain.startswith(f"{directory}/"):
            return there + plain.removeprefix(directory)
    return path
