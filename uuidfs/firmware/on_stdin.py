"""Which firmware the XML on the hook's stdin names; without lxml, which the hook cannot afford."""

from typing import NamedTuple

from uuidfs.firmware.names import Firmware, as_written, chosen_entry, place_of
from uuidfs.layout.places import Layout


class Named(NamedTuple):
    """A path that the XML on stdin names, or that libvirt will choose."""

    kind: Firmware
    path: str


def named(layout: Layout, name: str, data: bytes) -> list[Named]:
    """All of them. Raises ValueError for what is no XML."""
    sieve = _sieve(data)
    found = [Named(kind, path.strip()) for kind, path in sieve.paths.items() if path.strip()]
    if sieve.chosen and not any(one.kind is not Firmware.PSTORE for one in found):
        directory = as_written(layout, place_of(layout, Firmware.NVRAM))
        found.append(Named(Firmware.NVRAM, f"{directory}/{chosen_entry(name, sieve.form)}"))
    return found


class _Sieve:
    """The paths in a ``<domain>``, as :func:`uuidfs.firmware.paths.claims` finds them."""

    def __init__(self) -> None:
        self.paths: dict[Firmware, str] = {}
        self.chosen = False  # libvirt chooses the firmware, and so the file
        self.form = "raw"
        self._path: list[str] = []
        self._into: Firmware | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        self._into = None
        match self._path:
            case ["domain", "os"]:
                self.chosen = attributes.get("firmware") == "efi"
            case ["domain", "os", "loader"]:
                plain = attributes.get("type", "pflash") == "pflash"
                self.chosen = self.chosen and plain and attributes.get("stateless") != "yes"
            case ["domain", "os", "nvram"]:
                self.form = attributes.get("format", "raw")
                if attributes.get("type", "file") == "file":
                    self._into = Firmware.NVRAM
                else:
                    self.chosen = False
            case ["domain", "os", "nvram", "source"]:
                if "file" in attributes:
                    self.paths[Firmware.NVRAM] = attributes["file"]
            case ["domain", "os", "varstore"]:
                self.chosen = False
                if "path" in attributes:
                    self.paths[Firmware.VARSTORE] = attributes["path"]
            case ["domain", "devices", "pstore", "path"]:
                self._into = Firmware.PSTORE

    def text(self, text: str) -> None:
        if self._into is not None:
            self.paths[self._into] = self.paths.get(self._into, "") + text

    def end(self, _tag: str) -> None:
        self._path.pop()
        self._into = None


def _sieve(data: bytes) -> _Sieve:
    """Raises ValueError for what is no XML."""
    from xml.parsers import expat

    sieve = _Sieve()
    parser = expat.ParserCreate()
    parser.StartElementHandler = sieve.start
    parser.EndElementHandler = sieve.end
    parser.CharacterDataHandler = sieve.text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error
    return sieve
