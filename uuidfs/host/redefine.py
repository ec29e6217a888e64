"""What libvirt is given back: documents of a domain, its snapshots and checkpoints. Pure.

``snapshot-create --redefine`` and ``checkpoint-create --redefine`` (9.0 to 12.8) want a parent
that libvirt has, and the domain's name and UUID in the document.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lxml import etree

from uuidfs.errors import UuidfsError

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def parse(xml: str) -> etree._Element:
    """Parse what libvirt gave us; raises UuidfsError."""
    try:
        return etree.fromstring(xml.encode(), _PARSER)
    except etree.XMLSyntaxError as error:
        raise UuidfsError(f"libvirt gave XML that cannot be parsed: {error}") from error


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


def text_of(xml: str, path: str) -> str:
    """The text of an element; "" where it is empty or missing."""
    return parse(xml).findtext(path) or ""


def parents_first(xmls: Iterable[str]) -> list[str]:
    """Documents of one kind in an order in which libvirt can be given them, else as they came.

    Those whose parents are in a circle come last.
    """
    waiting = [(xml, text_of(xml, "name"), text_of(xml, "parent/name")) for xml in xmls]
    sorted_: list[str] = []
    while waiting:
        missing = {name for _, name, _ in waiting}
        ready = [one for one in waiting if one[2] not in missing]
        if not ready:
            ready = waiting
        sorted_ += [xml for xml, _, _ in ready]
        waiting = [one for one in waiting if one not in ready]
    return sorted_


class Back:
    """The way back of one kind: what libvirt does not have, each with a parent that it has.

    ``xmls`` parents first; ``there`` is what libvirt has, by name. ``only``: the keys ("snapshot
    NAME") of what may come back, None for all.
    """

    def __init__(
        self, kind: str, xmls: Iterable[str], there: Mapping[str, Any], only: frozenset[str] | None
    ) -> None:
        self.kept = {text_of(xml, "name"): xml for xml in xmls}
        self._there = there
        self._missing = [
            name
            for name in self.kept
            if name not in there and (only is None or f"{kind} {name}" in only)
        ]

    def missing(self) -> Iterator[tuple[str, str]]:
        """Parents first. Where somebody has deleted a parent, its own parent takes its place."""
        have = set(self._there)
        for name in self._missing:
            xml = self.kept[name]
            parent = text_of(xml, "parent/name")
            while parent and parent not in have:
                parent = text_of(self.kept[parent], "parent/name") if parent in self.kept else ""
            have.add(name)
            yield name, with_parent(xml, parent)

    def orphans(self, parent: str | None, secure: int) -> Iterator[tuple[str, str]]:
        """What was made while its parent was out, and so has none."""
        if parent not in self._missing:
            return
        for name, one in self._there.items():
            if name not in self.kept:
                xml = one.getXMLDesc(secure)
                if not text_of(xml, "parent/name"):
                    yield name, with_parent(xml, parent)
