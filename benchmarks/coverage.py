"""``python -m benchmarks.coverage DIRECTORY``: which of the domains in XML files could move.

A domain is movable when the preflight's own look at its devices finds no obstacle, and when every
kind of device that it has was moved by a live test (tests/live/moved.json). Each file may hold
several <domain> documents, and others, such as storage volumes, that are left out.

What only a running domain's XML says is assumed: a card on a libvirt network is on a bridge; a
directory of virtiofs is served by what its <binary> says. On another architecture than x86 the
devices are looked at alike; those of an architecture of which no live test has moved a guest are
counted apart.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from tests.live.moved import claims
from tests.support.kinds import ARCHITECTURE, PC, arch, kinds
from uuidfs.localmigration import devices
from uuidfs.localmigration.devices import filesystems
from uuidfs.localmigration.devices.facts import Share

QEMU = frozenset({"qemu", "kvm"})
# libvirt's own filters that use the guest's address.
_BY_ADDRESS = frozenset(
    {"clean-traffic", "clean-traffic-gateway", "no-ip-spoofing", "no-arp-spoofing"}
    | {"no-arp-ip-spoofing"}
)
_OURS = f"binary[@path='{filesystems.WRAPPER}']"
_DOCUMENT = re.compile(r"^<domain[ >].*?^</domain>", re.DOTALL | re.MULTILINE)
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


class Judged(NamedTuple):
    """One <domain> document: in which file, for which architecture, and why it cannot move."""

    file: str
    name: str
    arch: str
    refused: tuple[str, ...]  # by the preflight
    unproved: tuple[str, ...]  # kinds that no live test has moved

    @property
    def movable(self) -> bool:
        """Whether neither speaks against it."""
        return not self.refused and not self.unproved


class Coverage(NamedTuple):
    """What was found in a directory."""

    judged: list[Judged]
    others: int  # domains that QEMU does not run
    broken: list[str]  # documents that are no XML


def documents(directory: Path) -> Iterator[tuple[str, str]]:
    """Each <domain> document, with the name of its file."""
    for path in sorted(directory.glob("*.xml")):
        for found in _DOCUMENT.finditer(path.read_text(errors="replace")):
            yield path.name, found[0]


def as_running(domain: etree._Element) -> etree._Element:
    """The XML with what only a running domain's has, as far as the preflight asks for it."""
    for net in domain.iterfind("devices/interface[@type='network']/source"):
        net.set("bridge", net.get("bridge", "virbr0"))
    for number, device in enumerate(filesystems.shared(domain)):
        if device.find("alias") is None:
            etree.SubElement(device, "alias", name=f"fs{number}")
    return domain


def judge(file: str, domain: etree._Element, proved: frozenset[str]) -> Judged:
    """What the preflight and the live tests say of a domain."""
    live = as_running(domain)
    return Judged(
        file,
        live.findtext("name") or "",
        arch(live),
        tuple(devices.obstacles(live, _facts(live))),
        tuple(sorted(kind for kind in kinds(live) - proved if not kind.startswith(ARCHITECTURE))),
    )


def _facts(live: etree._Element) -> devices.HostFacts:
    """A host with libvirtd and libvirt's own filters, on which nobody else has made taps; its
    virtiofsd can migrate."""
    shares = {
        filesystems.alias(device): Share(
            filesystems.GIVEN if device.find(_OURS) is not None else ()
        )
        for device in filesystems.shared(live)
    }
    refs = (str(ref.get("filter")) for ref in live.iterfind("devices/interface/filterref"))
    return devices.HostFacts({}, {name: name in _BY_ADDRESS for name in refs}, shares)


def survey(directory: Path) -> Coverage:
    """Judge every domain in a directory's files."""
    found = Coverage([], 0, [])
    others, proved = 0, frozenset(claims())
    for file, text in documents(directory):
        try:
            domain = etree.fromstring(text.encode(), _PARSER)
        except etree.XMLSyntaxError as error:
            found.broken.append(f"{file}: {error}")
            continue
        if domain.get("type") in QEMU:
            found.judged.append(judge(file, domain, proved))
        else:
            others += 1
    return found._replace(others=others)


def architectures() -> frozenset[str]:
    """Those of which a live test has moved a guest."""
    found = (kind.partition(ARCHITECTURE)[2] for kind in claims())
    return PC | {one for one in found if one}


def reason(text: str) -> str:
    """An obstacle without the name of its device: "tpm tpm0: it ..." becomes "tpm: it ..."."""
    device, _, why = text.partition(": ")
    return f"{device.split(maxsplit=1)[0]}: {why}"


def table(judged: list[Judged]) -> Iterator[tuple[str, int, int]]:
    """Each reason: how many domains it speaks against, and how many it alone keeps here, by the
    preflight; of kinds that no live test moves, where the preflight lets the domain pass."""
    against: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for one in judged:
        reasons = {reason(text) for text in one.refused}
        if not one.refused:
            reasons = {f"no live test moves: {kind}" for kind in one.unproved}
        against.update(reasons)
        if len(reasons) == 1:
            alone.update(reasons)
    for why, count in sorted(against.items(), key=lambda item: (-item[1], item[0])):
        yield why, count, alone[why]


def figures(coverage: Coverage) -> dict[str, object]:
    """All of it, as --json prints it."""
    judged = coverage.judged
    movable = [one for one in judged if one.movable]
    moved_on = architectures()
    by_file: dict[str, list[Judged]] = {}
    for one in judged:
        by_file.setdefault(one.file, []).append(one)
    return {
        "version": 1,
        "domains": len(judged),
        "movable": len(movable),
        "domains_on_x86": sum(one.arch in PC for one in judged),
        "movable_on_x86": sum(one.arch in PC for one in movable),
        "movable_by_devices_alone": sum(one.arch not in moved_on for one in movable),
        "refused": sum(bool(one.refused) for one in judged),
        "not_shown_by_a_live_test": sum(bool(one.unproved) and not one.refused for one in judged),
        "files": len(by_file),
        "files_all_movable": sum(all(one.movable for one in ones) for ones in by_file.values()),
        "not_run_by_qemu": coverage.others,
        "broken": coverage.broken,
        "reasons": [
            {"reason": why, "domains": count, "alone": alone} for why, count, alone in table(judged)
        ],
        "judged": [one._asdict() | {"movable": one.movable} for one in judged],
    }


def lines(coverage: Coverage) -> Iterator[str]:
    """The same for people."""
    all_of = figures(coverage)
    yield (
        f"{all_of['movable']} of {all_of['domains']} domains can move; "
        f"{all_of['refused']} are refused, and {all_of['not_shown_by_a_live_test']} more "
        "have what no live test has moved"
    )
    yield (
        f"  on x86: {all_of['movable_on_x86']} of {all_of['domains_on_x86']}; by their devices "
        f"alone: {all_of['movable_by_devices_alone']}, since live tests moved guests only of "
        + ", ".join(sorted(architectures()))
    )
    yield (
        f"  in {all_of['files']} files, of which {all_of['files_all_movable']} hold none that "
        f"cannot; {all_of['not_run_by_qemu']} domains of other hypervisors are left out"
    )
    yield "  taken for granted: a card on a libvirt network is on a bridge"
    yield from (f"  not read: {text}" for text in coverage.broken)
    yield ""
    yield "| domains | for this alone | reason |"
    yield "| ---: | ---: | --- |"
    for why, count, alone in table(coverage.judged):
        yield f"| {count} | {alone} | {why} |"


def main(argv: list[str]) -> int:
    """Print; exit 1 where fewer than --at-least can move, 2 where there is no domain at all."""
    parser = argparse.ArgumentParser(prog="benchmarks.coverage", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--json", action="store_true", help="all of it, domain by domain")
    parser.add_argument("--at-least", type=int, default=0, help="movable domains, or exit 1")
    options = parser.parse_args(argv)
    coverage = survey(options.directory)
    if not coverage.judged:
        print(f"{options.directory}: no file *.xml with a domain of QEMU's", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(figures(coverage), indent=2))
    else:
        print("\n".join(lines(coverage)))
    return 1 if sum(one.movable for one in coverage.judged) < options.at_least else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
