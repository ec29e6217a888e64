"""Disks: two QEMU processes have the same ones, and QEMU hands over who may write."""

from collections.abc import Iterator

from lxml import etree

from uuidfs.localmigration.domain_xml import label


def obstacles(domain: etree._Element) -> Iterator[str]:
    """Why a disk cannot move, each with its name."""
    for disk in domain.iterfind("devices/disk"):
        kind = disk.get("type")
        if kind in {"volume", "vhostuser", "nvme", "vhostvdpa", "dir"}:
            yield f"{label(disk)}: a disk of type {kind}"
        if disk.find("transient") is not None:
            yield f"{label(disk)}: a transient disk"
        if disk.find(".//reservations") is not None:
            yield f"{label(disk)}: persistent reservations"
