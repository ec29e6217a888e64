"""The firmware's files: both processes have the one that the guest has, whatever its name is now.

After a rename the live XML names a path that a new domain may have got meanwhile. The file has the
name of the domain's UUID beside it (:mod:`uuidfs.firmware`), and that is what the next process
opens. libvirt's ABI check allows another path (9.0 to 12.8).
"""

from collections.abc import Iterator

from lxml import etree

from uuidfs.firmware.names import Firmware
from uuidfs.firmware.paths import set_path
from uuidfs.localmigration.devices.facts import HostFacts


def obstacles(facts: HostFacts) -> Iterator[str]:
    """Why the guest cannot move: a new process would open another file."""
    for path in facts.astray:
        yield (
            f"{path}: another file lies there than QEMU has open; shut the guest off, and give it "
            "its own file (uuidfs check)"
        )


def by_uuid(domain: etree._Element, facts: HostFacts) -> None:
    """Name each file by the path that only this domain has."""
    nvram = domain.find("os/nvram")
    path = None if nvram is None else (nvram.text or "").strip()
    source = None if nvram is None else nvram.find("source")
    if source is not None:
        path = source.get("file")
    if path and path in facts.firmware:
        set_path(domain, Firmware.NVRAM, facts.firmware[path])
    varstore = domain.find("os/varstore")
    if varstore is not None and varstore.get("path") in facts.firmware:
        set_path(domain, Firmware.VARSTORE, facts.firmware[str(varstore.get("path"))])
