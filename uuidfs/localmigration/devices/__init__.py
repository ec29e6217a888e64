"""A guest's devices: which cannot move, and what they are in the peer and at home again.

Pure: XML in, XML or reasons out. Each group of devices has a module. libvirt's ABI check
(virDomainDefCheckABIStability, 9.0 and 11.3) allows everything that is changed here, since the
guest cannot see it.
"""

from collections.abc import Mapping

from lxml import etree

from uuidfs.localmigration.devices import (
    consoles,
    disks,
    filesystems,
    firmware,
    graphics,
    interfaces,
    others,
    tpm,
)
from uuidfs.localmigration.devices.facts import HostFacts
from uuidfs.localmigration.devices.interfaces import arrives_paused
from uuidfs.localmigration.domain_xml import parse, set_emulator

__all__ = ["HostFacts", "arrives_paused", "at_home", "in_peer", "obstacles", "obstacles_meanwhile"]


def obstacles(live: etree._Element, facts: HostFacts) -> list[str]:
    """Why this running domain cannot move, each with the device's name; empty when it can."""
    return [
        *_common(live),
        *interfaces.obstacles(live, facts),
        *filesystems.obstacles(live, facts),
        *firmware.obstacles(facts),
    ]


def obstacles_meanwhile(
    migratable: etree._Element, live: etree._Element, facts: HostFacts
) -> list[str]:
    """The same for the XML that libvirt sends: what was plugged in since ``live``."""
    return [
        *_common(migratable),
        *interfaces.obstacles_meanwhile(migratable, live, facts),
        *filesystems.obstacles_meanwhile(migratable, live, facts),
    ]


def _common(migratable: etree._Element) -> list[str]:
    return [
        *others.obstacles(migratable),
        *tpm.obstacles(migratable),
        *disks.obstacles(migratable),
        *consoles.obstacles(migratable),
        *graphics.obstacles(migratable),
    ]


def in_peer(
    migratable: str,
    live: etree._Element,
    emulator: str | None,
    facts: HostFacts,
    elsewhere: Mapping[str, str] = consoles.NOWHERE,
) -> str:
    """The XML for the way out: everything that only one process can have is taken away.

    ``elsewhere``: directories that the peer has its own of, and where it sees the host's.
    """
    domain = parse(migratable)
    set_emulator(domain, emulator)
    consoles.to_peer(domain, elsewhere)
    graphics.to_peer(domain)
    tpm.to_peer(domain)
    interfaces.to_peer(domain, live, facts)
    others.to_peer(domain)
    firmware.by_uuid(domain, facts)
    # The host's security driver removes its profile of this UUID when the first process ends.
    for label in domain.findall("seclabel"):
        if label.get("model") not in {None, "dac", "none"} or label.get("type") == "dynamic":
            domain.remove(label)
    return etree.tostring(domain, encoding="unicode")


def at_home(migratable: str, emulator: str | None, facts: HostFacts = HostFacts()) -> str:  # noqa: B008 - never changed
    """The XML for the way back: as it was, but for paths that another domain can get."""
    domain = parse(migratable)
    set_emulator(domain, emulator)
    firmware.by_uuid(domain, facts)
    consoles.to_home(domain)
    return etree.tostring(domain, encoding="unicode")
