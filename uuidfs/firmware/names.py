"""What libvirt calls the firmware's files, and where they are; pure. The hook loads this."""

import re
from enum import Enum

from uuidfs.layout.places import Layout, Place


class Firmware(Enum):
    """What libvirt keeps of a domain's firmware."""

    NVRAM = "nvram"
    """UEFI variables: nvram/NAME_VARS.fd or .qcow2."""
    VARSTORE = "varstore"
    """UEFI variables as JSON (libvirt 12.1): varstore/NAME.json."""
    PSTORE = "pstore"
    """A guest kernel's last words: nvram/NAME_PSTORE.raw."""

    __hash__ = object.__hash__


_NAMED = {
    Firmware.NVRAM: re.compile(
        r"(?P<word>.+)_VARS(?P<rest>(?:\.ms)?\.(?:fd|qcow2|raw))\Z", re.DOTALL
    ),
    Firmware.VARSTORE: re.compile(r"(?P<word>.+)(?P<rest>\.json)\Z", re.DOTALL),
    Firmware.PSTORE: re.compile(r"(?P<word>.+)_PSTORE(?P<rest>\.raw)\Z", re.DOTALL),
}  # qemuDomainNVRAMPathFormat and its like, libvirt 9.0 to 12.8

_MIDDLE = {Firmware.NVRAM: "_VARS", Firmware.VARSTORE: "", Firmware.PSTORE: "_PSTORE"}


def place_of(layout: Layout, kind: Firmware) -> Place:
    """libvirt's own directory for files of this kind; it belongs to QEMU's user."""
    return layout.lib.child("varstore" if kind is Firmware.VARSTORE else "nvram")


def as_written(layout: Layout, place: Place) -> str:
    """The place as definitions say it: below ``--root`` without the root."""
    if layout.live or layout.uri != "qemu:///system":
        return place.path
    return "/" + "/".join(place.below)


def word_of(kind: Firmware, entry: str) -> str | None:
    """Whose name libvirt made a file's name of; None for a name that libvirt does not choose."""
    match = _NAMED[kind].match(entry)
    return match["word"] if match else None


def called_after(kind: Firmware, entry: str, word: str) -> str:
    """The same file's name, made of another word; the ending stays, which tells the format."""
    match = _NAMED[kind].match(entry)
    if match is None:
        raise ValueError(f"libvirt does not choose {entry!r}")
    return f"{word}{_MIDDLE[kind]}{match['rest']}"


def chosen_entry(name: str, form: str) -> str:
    """What libvirt calls the NVRAM of a domain whose definition names none, by its format."""
    return f"{name}_VARS.{'fd' if form == 'raw' else form}"
