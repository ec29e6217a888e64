"""What the hook does about a domain's firmware, just before libvirt opens or makes the file.

libvirt (9.0 to 12.8) runs the hook before it makes a missing NVRAM from its template. So a file
that is another domain's is taken from the path here, and libvirt makes a new one; and a domain
whose definition was written anew with libvirt's own path finds its file there. The hook loads
this: neither lxml nor libvirt.
"""

from typing import NamedTuple

from uuidfs.errors import Changed
from uuidfs.files.directory import Directory, opened
from uuidfs.files.entry import Entry
from uuidfs.firmware import kept
from uuidfs.firmware.apply_files import link_as, take_name
from uuidfs.firmware.names import Firmware, as_written, called_after, place_of, word_of
from uuidfs.layout.names import is_uuid
from uuidfs.layout.places import Kind, Layout
from uuidfs.survey.identity import MAX_BYTES

_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Named(NamedTuple):
    """A path that the XML on stdin names, or that libvirt will choose."""

    kind: Firmware
    path: str


def settle(layout: Layout, name: str, uuid: str, data: bytes) -> tuple[str, ...]:
    """See to it that each path leads to the domain's own file, or to none.

    Returns what was done, in words. Raises Changed, OSError, UuidfsError: then libvirt starts the
    domain with what is there.
    """
    said = []
    for named in _named(layout, name, data):
        place = place_of(layout, named.kind)
        above, _, entry = named.path.rpartition("/")
        if above != as_written(layout, place) or word_of(named.kind, entry) is None:
            continue
        directory = opened(place)
        if directory is None:
            continue
        with directory:
            done = _one(layout, name, uuid, named.kind, directory, entry)
        if done is not None:
            said.append(done)
    return tuple(said)


def _one(
    layout: Layout, name: str, uuid: str, kind: Firmware, directory: Directory, entry: str
) -> str | None:
    own = called_after(kind, entry, uuid)
    if entry == own:
        return None
    there, mine = directory.look(entry), directory.look(own)
    noted = kept.kept(layout, uuid, kind)
    if there is None:
        former = own if mine is not None else _former(kind, directory, noted)
        found = mine or noted
        if found is None or not found.is_file:
            return None
        if former is not None:
            link_as(directory, former, entry, found)
        elif word_of(kind, entry) != name:
            kept.give(layout, uuid, kind, directory, entry)  # with another domain of that name
        else:
            return None  # removed by a person, who wants a new one
        return f"{directory.at(entry)} is the domain's own file again"
    if not there.is_file or there.nlink < 2 or there.same_inode(mine) or there.same_inode(noted):
        return None
    owner = _owner(layout, kind, directory, there)
    if owner is None or owner == uuid:
        return None
    if not _is_free(layout, owner, f"{as_written(layout, directory.place)}/{entry}"):
        return None
    theirs = called_after(kind, entry, owner)
    if not there.same_inode(directory.look(theirs)):
        try:
            link_as(directory, entry, theirs, there)
        except Changed:
            return None  # nobody knows which of the two is the owner's
    take_name(layout, uuid, directory, entry, there)
    if mine is not None and mine.is_file:
        link_as(directory, own, entry, mine)
    return f"{directory.at(entry)} was the file of {owner}, which has it as {theirs} now"


def _former(kind: Firmware, directory: Directory, noted: Entry | None) -> str | None:
    """Another name of the file that is noted as the domain's: it was renamed."""
    if noted is None or noted.ino not in directory.inodes():
        return None
    for entry in sorted(directory.list()):
        if word_of(kind, entry) is not None and noted.same_inode(directory.look(entry)):
            return entry
    return None


def _owner(layout: Layout, kind: Firmware, directory: Directory, file: Entry) -> str | None:
    """The UUID that has the same file, by our links or by its name beside it."""
    owner = kept.owners(layout).get((file.dev, file.ino))
    if owner is not None or file.ino not in directory.inodes():
        return owner
    for entry in directory.list():
        word = word_of(kind, entry)
        if word is not None and is_uuid(word) and file.same_inode(directory.look(entry)):
            return word
    return None


def _is_defined(layout: Layout, uuid: str) -> bool:
    """Whether a domain that was converted has this UUID: of one that was undefined with
    --keep-nvram somebody wants the file to stay where it is."""
    store = opened(layout.stores[Kind.CONFIG])
    if store is None:
        return False
    with store:
        return store.look(f"{uuid}.xml") is not None


def _status_of(layout: Layout, uuid: str) -> bytes | None:
    """The status XML of a domain that runs; None of one that does not."""
    status = opened(layout.status)
    if status is None:
        return None
    with status:
        for entry in status.list():
            data = (status.read(entry, MAX_BYTES) or b"") if entry.endswith(".xml") else b""
            if uuid.encode() in data:
                return data
    return None


def _is_free(layout: Layout, owner: str, path: str) -> bool:
    """Whether a name of the owner's file may be taken: the owner is defined or runs, and does not
    run with that name. QEMU (7.2) opens its file by that name again, at a migration for example;
    so both share it then, as they do with plain libvirt, until the definitions have changed."""
    status = _status_of(layout, owner)
    if status is None:
        return _is_defined(layout, owner)
    return path.translate(_ESCAPED).encode("utf-8", "surrogateescape") not in status


def _named(layout: Layout, name: str, data: bytes) -> list[Named]:
    sieve = _sieve(data)
    found = [Named(kind, path.strip()) for kind, path in sieve.paths.items() if path.strip()]
    if sieve.chosen and not any(named.kind is not Firmware.PSTORE for named in found):
        directory = as_written(layout, place_of(layout, Firmware.NVRAM))
        found.append(Named(Firmware.NVRAM, f"{directory}/{name}_VARS.fd"))
    return found


class _Sieve:
    """The paths in a ``<domain>``, as :func:`uuidfs.firmware.paths.claims` finds them."""

    def __init__(self) -> None:
        self.paths: dict[Firmware, str] = {}
        self.chosen = False  # libvirt chooses the firmware, and so the file
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
                if attributes.get("type", "file") == "file":
                    self._into = Firmware.NVRAM
                else:
                    self.chosen = False
            case ["domain", "os", "nvram", "source"]:
                if "file" in attributes:
                    self.paths[Firmware.NVRAM] = attributes["file"]
            case ["domain", "os", "varstore"]:
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
