"""Emulated TPMs: a swtpm process of its own on either side, and QEMU moves the state."""

from collections.abc import Iterator

from lxml import etree

from uuidfs.localmigration.domain_xml import found, label


def obstacles(domain: etree._Element) -> Iterator[str]:
    """Why a TPM cannot move."""
    for device in domain.iterfind("devices/tpm"):
        backend = device.find("backend")
        kind = backend.get("type") if backend is not None else "unknown"
        if backend is None or kind != "emulator":
            yield f"{label(device)}: a TPM of type {kind}, which two QEMU processes cannot have"
        elif backend.find("source") is not None:
            yield f"{label(device)}: its state has a path of its own, which two cannot write"


def emulated(domain: etree._Element) -> bool:
    """Whether there is one whose state has to be kept."""
    return bool(found(domain, "devices/tpm/backend[@type='emulator']"))


def to_peer(domain: etree._Element) -> None:
    """The peer's daemon must not remove the state of a guest that ends there."""
    for backend in found(domain, "devices/tpm/backend[@type='emulator']"):
        backend.set("persistent_state", "yes")
