"""Emulated TPMs."""

from collections.abc import Iterator

from lxml import etree

_FOREIGN = "a QEMU process of its own keeps a state that cannot be in two places"


def obstacles(domain: etree._Element) -> Iterator[str]:
    """Why a TPM cannot move."""
    for device in domain.iterfind("devices/tpm"):
        backend = device.find("backend")
        model = backend.get("type") if backend is not None else "unknown"
        yield f"tpm ({model}): {_FOREIGN}"
