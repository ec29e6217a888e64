"""A small host with firmware: definitions as libvirt writes them, and files in nvram/."""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.support.trees import Host
from uuidfs.files.directory import existing
from uuidfs.files.trusted import TrustedDirs
from uuidfs.firmware import kept
from uuidfs.firmware.definitions import Definitions
from uuidfs.firmware.names import Firmware, place_of
from uuidfs.firmware.view import View, Views
from uuidfs.layout.connections import system
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scanner import scan_all

SAID = "/var/lib/libvirt/qemu/nvram"  # in definitions, below any root


def uuid(number: int) -> str:
    return f"{number}0000000-aaaa-4bbb-8ccc-dddddddddddd"


def own(number: int) -> str:
    """The name that is made of the UUID."""
    return f"{uuid(number)}_VARS.fd"


def xml(name: str, number: int, entry: str | None) -> bytes:
    """``entry`` None: libvirt chooses the firmware, and the path at each start."""
    nvram = f"<os><nvram>{SAID}/{entry}</nvram></os>" if entry else "<os firmware='efi'/>"
    return f"<domain><name>{name}</name><uuid>{uuid(number)}</uuid>{nvram}</domain>".encode()


@dataclass
class Firm:
    """Everything below ``root``."""

    root: Path

    def __post_init__(self) -> None:
        self.host = Host(self.root)
        self.layout = system(os.fspath(self.root))
        self.nvram = self.host.lib / "nvram"
        self.kept = self.root / "var/lib/libvirt/by-uuid/kept"
        for path in (self.nvram, self.host.store("config"), self.host.store("log"),
                     self.host.snapshot, self.host.status):  # fmt: skip
            path.mkdir(parents=True)

    def plain(self, name: str, number: int, entry: str | None) -> None:
        """As libvirt has just written it."""
        self.host.config_of(name).unlink(missing_ok=True)
        self.host.config_of(name).write_bytes(xml(name, number, entry))

    def converted(self, name: str, number: int, entry: str | None, *, ran: bool = True) -> None:
        store = self.host.store("config") / f"{uuid(number)}.xml"
        store.write_bytes(xml(name, number, entry))
        self.host.config_of(name).symlink_to(f"by-uuid/{uuid(number)}.xml")
        if ran:
            (self.host.store("log") / f"{uuid(number)}.log").touch()

    def renamed(self, name: str, number: int, entry: str | None) -> None:
        """libvirt has renamed it since it was converted."""
        for path in self.host.config.glob("*.xml"):
            if path.is_symlink() and uuid(number) in os.readlink(path):
                path.unlink()
        self.plain(name, number, entry)

    def write(self, entry: str, text: str) -> None:
        (self.nvram / entry).write_text(text)

    def note(self, number: int, entry: str) -> None:
        """uuidfs has seen that the file is the domain's."""
        with existing(place_of(self.layout, Firmware.NVRAM)) as directory:
            found = directory.look(entry)
            assert found is not None
            assert kept.keep(self.layout, uuid(number), Firmware.NVRAM, directory, entry, found)

    def names(self) -> dict[str, str]:
        """Each name in nvram/, and what is in the file."""
        return {path.name: path.read_text() for path in sorted(self.nvram.iterdir())}

    def noted(self, number: int) -> str | None:
        path = self.kept / uuid(number) / "nvram"
        return path.read_text() if path.exists() else None

    def view(self, number: int) -> View:
        with TrustedDirs(self.layout) as dirs:
            scan = scan_all(Documents(dirs, read_lxml))
            domains, unread = Definitions(self.layout).all(dirs, scan)
            defined = None if unread or scan.incomplete else scan.names_of.keys()
            found = Views(self.layout, domains, defined).view(uuid(number))
        assert found is not None
        return found
