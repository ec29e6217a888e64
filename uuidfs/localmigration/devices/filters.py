"""Network filters (<filterref>): which of them a peer daemon can set up as the host's has.

The peer has a copy of all filters. A filter that uses the guest's address, where the domain's XML
does not give it, is what a peer cannot have: libvirt learns that address from the guest's packets
or from DHCP, tells it nobody, and lets nothing through before it has learnt it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lxml import etree

from uuidfs.errors import UuidfsError
from uuidfs.localmigration.devices.facts import HostFacts
from uuidfs.localmigration.domain_xml import parse

_ADDRESS = re.compile(r"\$IP(?![A-Za-z0-9_])")


class _Filter(NamedTuple):
    uses: bool
    refers: tuple[str, ...]  # to filters that it gives no address


def needing_address(documents: Iterable[str]) -> dict[str, bool]:
    """By name, whether a filter uses $IP without giving it, itself or in one that it refers to.

    That is how libvirt decides that there is something to learn (virNWFilterDoInstantiate and
    virNWFilterDetermineMissingVarsRec, 9.0 and 11.3). What is no XML is no filter for it either.
    """
    filters: dict[str, _Filter] = {}
    for document in documents:
        try:
            root = parse(document)
        except UuidfsError:
            continue
        refers = tuple(
            ref.get("filter", "") for ref in root.iterfind("filterref") if not _gives_address(ref)
        )
        filters[root.get("name", "")] = _Filter(any(map(_uses, root.iterfind("rule"))), refers)
    return {name: any(filters[one].uses for one in _reached(filters, name)) for name in filters}


def _uses(rule: etree._Element) -> bool:
    return any(
        _ADDRESS.search(str(value)) for element in rule.iter() for value in element.attrib.values()
    )


def _gives_address(ref: etree._Element) -> bool:
    return any(parameter.get("name") == "IP" for parameter in ref.iterfind("parameter"))


def _reached(filters: Mapping[str, _Filter], name: str) -> Iterator[str]:
    todo, seen = [name], set()
    while todo:
        one = todo.pop()
        if one in filters and one not in seen:
            seen.add(one)
            yield one
            todo += filters[one].refers


def obstacle(net: etree._Element, facts: HostFacts) -> str | None:
    """Why a card's filter keeps the guest here, if it does."""
    ref = net.find("filterref")
    if ref is None:
        return None
    name = ref.get("filter", "")
    if facts.filters is None:
        return f"the network filter {name}, which virtnwfilterd alone knows"
    if name not in facts.filters:
        return f"the network filter {name} is not among libvirt's"
    if facts.filters[name] and not _gives_address(ref):
        return (
            f"the network filter {name} uses an address that libvirt has learnt from the guest's "
            "packets, and a second daemon has not; give it as parameter IP"
        )
    return None
