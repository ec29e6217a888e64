"""Reads a domain's XML, and changes what is about the domain as a whole: name, emulator, token.

Pure: XML in, XML out. :mod:`uuidfs.localmigration.devices` is about its devices.
"""

from typing import Any

from lxml import etree

from uuidfs.host.redefine import parse as parse  # noqa: PLC0414 - exported
from uuidfs.host.redefine import renamed as renamed  # noqa: PLC0414 - exported

METADATA = "urn:uuidfs:local-migration"

"""The namespace of the token that only the way home carries; libvirt keeps one element of it."""


def found(element: etree._Element, path: str) -> list[Any]:
    """What an XPath expression selects: elements, or strings where it names attributes."""
    result = element.xpath(path)
    return result if isinstance(result, list) else []


def label(device: etree._Element) -> str:
    """What people call a device: its tag, and its alias, target or type."""
    names = (device.find("target"), "dev"), (device.find("alias"), "name")
    for element, attribute in names:
        if element is not None and element.get(attribute):
            return f"{device.tag} {element.get(attribute)}"
    return f"{device.tag} ({device.get('type') or device.get('model') or 'default'})"


def set_emulator(domain: etree._Element, emulator: str | None) -> None:
    """Give the domain another QEMU binary, where one is asked for."""
    found = domain.find("devices/emulator")
    if emulator is not None and found is not None:
        found.text = emulator


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


def set_emulator_text(xml: str, emulator: str) -> str | None:
    """The XML with another emulator; None when it has that one already."""
    domain = parse(xml)
    if domain.findtext("devices/emulator") == emulator:
        return None
    set_emulator(domain, emulator)
    return etree.tostring(domain, encoding="unicode")
