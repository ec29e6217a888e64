"""Which files of the firmware a domain's XML claims; pure."""

from typing import TYPE_CHECKING, NamedTuple

from uuidfs.firmware.names import Firmware, as_written, chosen_entry, place_of
from uuidfs.layout.places import Layout

if TYPE_CHECKING:  # most hosts have no such files: a conversion does without lxml there
    from lxml import etree


class Claim(NamedTuple):
    """A path that a definition names. ``implied``: it does not, but libvirt (9.0) will choose this
    one at the next start, after the name that the domain has then."""

    kind: Firmware
    path: str
    implied: bool = False


HINTS = (b"<nvram", b"firmware=", b"<varstore", b"<pstore")
"""A definition without any of these claims nothing: it need not be parsed."""


def claims(layout: Layout, domain: "etree._Element") -> tuple[Claim, ...]:
    """The files on this host that a ``<domain>`` element names.

    An NVRAM on the network or on a block device is no file of libvirt's.
    """
    found = []
    nvram = domain.find("os/nvram")
    path = _nvram_path(nvram)
    if path:
        found.append(Claim(Firmware.NVRAM, path))
    elif _is_implied(domain, nvram):
        directory = as_written(layout, place_of(layout, Firmware.NVRAM))
        name = domain.findtext("name") or ""
        ending = nvram.get("format", "raw") if nvram is not None else "raw"
        entry = chosen_entry(name, ending)
        found.append(Claim(Firmware.NVRAM, f"{directory}/{entry}", implied=True))
    varstore = domain.find("os/varstore")
    if varstore is not None and varstore.get("path"):
        found.append(Claim(Firmware.VARSTORE, str(varstore.get("path"))))
    pstore = domain.find("devices/pstore/path")
    if pstore is not None and (path := _text(pstore)):
        found.append(Claim(Firmware.PSTORE, path))
    return tuple(found)


def claims_of(layout: Layout, document: bytes) -> tuple[Claim, ...]:
    """The same of a document whose root is a ``<domain>``, or a ``<domstatus>`` with one in it.

    Most claim nothing, and are not parsed. Raises ValueError for what is no XML.
    """
    if not any(hint in document for hint in HINTS):
        return ()
    root = _parsed(document)
    domain = root.find("domain") if root.tag == "domstatus" else root
    return claims(layout, domain) if domain is not None else ()


def _nvram_path(nvram: "etree._Element | None") -> str | None:
    if nvram is None:
        return None
    source = nvram.find("source")
    if source is not None:
        return source.get("file")
    return _text(nvram) or None


def _text(element: "etree._Element") -> str:
    """All text before the first child; lxml has a comment's tail apart from it."""
    texts = [element.text or ""]
    for child in element:
        if not callable(child.tag):  # as those of comments are
            break
        texts.append(child.tail or "")
    return "".join(texts).strip()


def _is_implied(domain: "etree._Element", nvram: "etree._Element | None") -> bool:
    """Whether libvirt will choose a path at the start: so 9.0 does with firmware of its choice."""
    system = domain.find("os")
    if system is None or system.get("firmware") != "efi" or domain.find("os/varstore") is not None:
        return False
    if nvram is not None and nvram.get("type", "file") != "file":
        return False
    loader = system.find("loader")
    return loader is None or (
        loader.get("stateless") != "yes" and loader.get("type", "pflash") == "pflash"
    )


def set_path(domain: "etree._Element", kind: Firmware, path: str) -> bool:
    """Have a ``<domain>`` element name this path; False when it has no place for one."""
    if kind is Firmware.NVRAM:
        return _set_nvram(domain, path)
    if kind is Firmware.VARSTORE:
        varstore = domain.find("os/varstore")
        if varstore is not None:
            varstore.set("path", path)
        return varstore is not None
    pstore = domain.find("devices/pstore/path")
    if pstore is not None:
        _set_text(pstore, path)
    return pstore is not None


def _set_nvram(domain: "etree._Element", path: str) -> bool:
    from lxml import etree

    system = domain.find("os")
    if system is None:
        return False
    nvram = system.find("nvram")
    if nvram is None:
        nvram = etree.SubElement(system, "nvram")
    source = nvram.find("source")
    if source is None:
        _set_text(nvram, path)
    else:
        source.set("file", path)
    return True


def _set_text(element: "etree._Element", text: str) -> None:
    for child in list(element):  # comments: their tails are text, too
        element.remove(child)
    element.text = text


def moved(layout: Layout, xml: str, paths: dict[str, str], implied: str | None) -> str | None:
    """The document with each of ``paths`` replaced, in every ``<domain>`` and
    ``<inactiveDomain>``; None when nothing has to be changed.

    ``implied``: what an NVRAM shall be where the document names none. Raises ValueError for what
    is no XML.
    """
    from lxml import etree

    root = _parsed(xml.encode("utf-8", "surrogateescape"))
    changed = False
    for domain in [root] if root.tag == "domain" else root.iterchildren("domain", "inactiveDomain"):
        for claim in claims(layout, domain):
            path = implied if claim.implied else paths.get(claim.path)
            if path is not None:
                changed = set_path(domain, claim.kind, path) or changed
    return etree.tostring(root, encoding="unicode") if changed else None


def _parsed(document: bytes) -> "etree._Element":
    """The root element; comments stay. Raises ValueError for what is no XML."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        return etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from error
