"""Reads a domain's XML, and changes what is about the domain as a whole: name, emulator, token.

Pure: XML in, XML out. :mod:`uuidfs.localmigration.devices` is about its devices.
"""

from typing import Any

from lxml import etree

from uuidfs.errors import UuidfsError

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)

METADATA = "urn:uuidfs:local-migration"

"""The namespace of the token that only the way home carries; libvirt keeps one element of it."""


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
