"""Which of the firmware's files QEMU has open, and by which name the next process shall open it."""

from typing import Any, NamedTuple

from lxml import etree

from uuidfs.files import change
from uuidfs.files.directory import opened
from uuidfs.firmware.apply_files import link_as
from uuidfs.firmware.names import as_written, called_after, place_of, word_of
from uuidfs.firmware.paths import claims
from uuidfs.layout import names
from uuidfs.layout.places import Layout
from uuidfs.localmigration import domain_xml
from uuidfs.localmigration.connection import doing
from uuidfs.localmigration.processes import Process, process_of


class OpenFirmware(NamedTuple):
    """``by_uuid``: path in the live XML -> path of the same file that is made of the UUID.
    ``astray``: paths at which QEMU's file is not any more."""

    by_uuid: dict[str, str]
    astray: tuple[str, ...]


def give_own_names(layout: Layout, domain: Any) -> None:
    """Before a rename: each file that QEMU has open gets the name that is made of the UUID, so that
    the guest comes home with it, and the former name is free. Raises UuidfsError, OSError."""
    with doing("read its XML"):
        live = domain_xml.parse(domain.XMLDesc())
    process = process_of(f"{layout.status.path}/{names.pid_file(str(domain.name()))}")
    if process is None:
        return  # the trip says so
    with process:
        has_open = process.files()
    uuid = live.findtext("uuid") or ""
    for claim in claims(layout, live):
        place = place_of(layout, claim.kind)
        above, _, entry = claim.path.rpartition("/")
        directory = opened(place)
        if directory is None:
            continue
        with directory:
            if above != as_written(layout, place) or word_of(claim.kind, entry) is None:
                continue
            own = called_after(claim.kind, entry, uuid)
            there = directory.look(entry)
            if there is None or (there.dev, there.ino) not in has_open or directory.look(own):
                continue
            link_as(directory, entry, own, there)
            change.sync_directory(directory)


def look(layout: Layout, live: etree._Element, process: Process) -> OpenFirmware:
    """Look at the process's descriptors. Raises UuidfsError, OSError."""
    found = claims(layout, live)
    if not found:
        return OpenFirmware({}, ())
    uuid = live.findtext("uuid") or ""
    has_open = process.files()
    by_uuid: dict[str, str] = {}
    astray = []
    for claim in found:
        place = place_of(layout, claim.kind)
        above, _, entry = claim.path.rpartition("/")
        if above != as_written(layout, place) or word_of(claim.kind, entry) is None:
            continue  # somebody's own path
        directory = opened(place)
        if directory is None:
            continue
        with directory:
            own = called_after(claim.kind, entry, uuid)
            there, mine = directory.look(entry), directory.look(own)
        if there is None or (there.dev, there.ino) not in has_open:
            astray.append(claim.path)  # and that is what QEMU would open in a hop that fails
        elif there.same_inode(mine) and own != entry:
            by_uuid[claim.path] = f"{above}/{own}"
    return OpenFirmware(by_uuid, tuple(astray))
