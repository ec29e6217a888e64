"""A guest's devices: which cannot move, and what they are in the peer and at home again.

Pure: XML in, XML or reasons out. Each group of devices has a module. libvirt's ABI check
(virDomainDefCheckABIStability, 9.0 and 11.3) allows everything that is changed here, since the
guest cannot see it.
"""

from lxml import etree

from uuidfs.localmigration.devices import consoles, disks, graphics, interfaces, others, tpm
from uuidfs.localmigration.domain_xml import parse, set_emulator


def obstacles(live: etree._Element) -> list[str]:
    """Why this running domain cannot move, each with the device's name; empty when it can."""
    return [*obstacles_meanwhile(live), *interfaces.obstacles(live)]


def obstacles_meanwhile(migratable: etree._Element) -> list[str]:
    """The same for the XML that libvirt sends: what was plugged in since the preflight."""
    return [
        *others.obstacles(migratable),
        *tpm.obstacles(migratable),
        *disks.obstacles(migratable),
        *consoles.obstacles(migratable),
        *graphics.obstacles(migratable),
    ]


def in_peer(migratable: str, live: etree._Element, emulator: str | None) -> str:
    """The XML for the way out: everything that only one process can have is taken away."""
    domain = parse(migratable)
    set_emulator(domain, emulator)
    consoles.to_peer(domain)
    graphics.to_peer(domain)
    tpm.to_peer(domain)
    interfaces.to_peer(domain, live)
    # The host's security driver removes its profile of this UUID when the first process ends.
    for label in domain.findall("seclabel"):
        if label.get("model") not in {None, "dac", "none"} or label.get("type") == "dynamic":
            domain.remove(label)
    return etree.tostring(domain, encoding="unicode")


def at_home(migratable: str, emulator: str | None) -> str:
    """The XML for the way back: as it was."""
    domain = parse(migratable)
    set_emulator(domain, emulator)
    consoles.to_home(domain)
    return etree.tostring(domain, encoding="unicode")
