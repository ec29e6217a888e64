"""Who a document is about, as read by lxml: what the command line uses."""

from functools import cache
from typing import Any

from uuidfs.survey.identity import Identity, Reader, judge, one_line, read_expat

_FEW = 200  # documents: importing lxml takes as long as what it saves on so many


def read_lxml(data: bytes) -> Identity | str:
    """Read a document with lxml; texts are taken as libvirt does, by XPath's string()."""
    etree, parser = _lxml()
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        return f"it is not well-formed XML ({one_line(error)})"
    if root.getroottree().docinfo.internalDTD is not None:
        return "it has a document type declaration"
    tag = root.tag
    first = _first(root, "name", "uuid" if tag == "domain" else "domain")
    if tag != "domain" and (domain := first.get("domain")) is not None:
        inside = _first(domain, "name", "uuid")
        first = inside if tag == "domstatus" else {**first, "uuid": inside.get("uuid")}
    elif tag == "domstatus":
        first = {}
    return judge(tag, _string(first.get("name")), _string(first.get("uuid")))


def quick_reader() -> Reader:
    """One for a command that people wait for: of a few documents lxml is not even imported."""
    read = 0

    def quick(data: bytes) -> Identity | str:
        nonlocal read
        read += 1
        return read_expat(data) if read <= _FEW else read_lxml(data)

    return quick


def parsed(data: bytes) -> Any:
    """The root element of a document that read_lxml has taken, for what else it says."""
    etree, parser = _lxml()
    return etree.fromstring(data, parser)


@cache
def _lxml() -> tuple[Any, Any]:  # a module and its parser, imported when first needed
    from lxml import etree

    return etree, etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


def _first(element: Any, one: str, other: str) -> dict[str, Any]:  # lxml's types are private
    """The first child of each of two names; looks no further than it has to."""
    found: dict[str, Any] = {}
    for child in element.iterchildren(one, other):
        found.setdefault(child.tag, child)
        if len(found) == 2:
            break
    return found


def _string(element: Any) -> str | None:  # an lxml element; its stubs know only private types
    """As XPath's string(): all text inside, without comments."""
    if element is None:
        return None
    return "".join(element.itertext()) if len(element) else element.text or ""
