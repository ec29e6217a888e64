"""Where a domain's files are, and where they belong.

A :class:`Place` is a trusted directory and the components below it that are opened one by
one without following links: everything that QEMU's user may write to, everything of ours.
The table of all places is docs/design.md, "Layout".

Here and in all modules that the hook imports, what passes between the layers is a NamedTuple
rather than a frozen dataclass: importing dataclasses costs the hook 20 ms.
"""

from enum import Enum
from typing import NamedTuple

LAYOUT = 1

"""Which files are where. A change of the places raises it, here and in the packages: an upgrade
has the older version take its layout back first (docs/packaging.md)."""


STORE = "by-uuid"

TRASH = "trash"

AUTOSTART = "autostart"
"""Below the configs, libvirt's: NAME.xml, a link to a config, and NAME.xml.once."""

RETENTION_FILE = "retention.json"


class Kind(Enum):
    """What is moved. The value is what people write after ``--kind``."""

    CONFIG = "config"
    LOG = "log"
    SNAPSHOT = "snapshot"
    CHECKPOINT = "checkpoint"

    __hash__ = object.__hash__  # Enum's own hashes the name, in Python, at every look-up

    def __init__(self, value: str) -> None:
        self.is_metadata = value in {"snapshot", "checkpoint"}
        """A directory per domain, one file per object."""


class Keepsakes(Enum):
    """What is in a trash and of no kind (:mod:`uuidfs.keepsakes`); the value as for a kind."""

    KEPT = "kept"

    __hash__ = object.__hash__


KEPT = Keepsakes.KEPT


class Side(Enum):
    """Which of a kind's two directories."""

    NAMES = "names"
    """libvirt's."""
    STORE = "store"
    """Ours."""

    __hash__ = object.__hash__


class Place(NamedTuple):
    """A directory: ``base`` is opened by path, each part of ``below`` with O_NOFOLLOW."""

    base: str
    below: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The whole path, for messages."""
        return "/".join((self.base.rstrip("/"), *self.below))

    @property
    def parent(self) -> "Place":
        """The directory above, which has to be below the base."""
        return Place(self.base, self.below[:-1])

    def child(self, *parts: str) -> "Place":
        """The place below this one."""
        return Place(self.base, self.below + parts)


class Layout(NamedTuple):
    """All places of one libvirt connection.

    ``names`` and ``stores`` hold, per kind, the directory that libvirt uses and ours.
    ``live`` tells whether a libvirt daemon may be at work on these files right now.
    """

    uri: str
    names: dict[Kind, Place]
    stores: dict[Kind, Place]
    status: Place
    locks: Place
    live: bool

    @property
    def sessions(self) -> Place:
        """Where the sessions of local migrations are; there is none before the first of them."""
        return self.locks.parent.child("local-migration")

    @property
    def state(self) -> Place:
        """Our directory in /var/lib/libvirt: the stores of metadata, and what was seen when."""
        return self.stores[Kind.SNAPSHOT].parent

    @property
    def saves(self) -> Place:
        """Where libvirt has managed saves, each NAME.save."""
        return self.lib.child("save")

    @property
    def tpm_states(self) -> Place:
        """libvirt's directory of the states of emulated TPMs, each below its domain's UUID."""
        return self.state.parent.child("swtpm")

    @property
    def autostart(self) -> Place:
        """libvirt's links to the configs of domains that start by themselves."""
        return self.names[Kind.CONFIG].child("autostart")

    @property
    def aside(self) -> Place:
        """What is kept of domains while they are away (:mod:`uuidfs.localmigration.set_aside`)."""
        return self.state.child("aside")

    @property
    def kept(self) -> Place:
        """Hard links to what libvirt deletes with a domain: the firmware's files, and more."""
        return self.state.child("kept")

    @property
    def lib(self) -> Place:
        """libvirt's directory that belongs to QEMU's user."""
        return self.names[Kind.SNAPSHOT].parent

    def places(self, side: Side) -> dict[Kind, Place]:
        """The directories of one side, by kind."""
        return self.names if side is Side.NAMES else self.stores

    def link_text(self, kind: Kind, uuid: str, entry: str) -> str:
        """What the name's symlink says; relative, so that it survives a chroot or a copy."""
        return self.link_prefix(kind, uuid) + entry

    def link_prefix(self, kind: Kind, uuid: str) -> str:
        """The part of the link's text before the store's file name."""
        if kind.is_metadata:
            return f"../../../{STORE}/{kind.value}/{uuid}/"
        return f"{STORE}/"

    def name_place(self, kind: Kind, name: str) -> Place:
        """The directory in which libvirt keeps files of this kind for the domain ``name``."""
        place = self.names[kind]
        return place.child(name) if kind.is_metadata else place

    def store_place(self, kind: Kind, uuid: str) -> Place:
        """The directory in which the same files lie under the domain's UUID."""
        place = self.stores[kind]
        return place.child(uuid) if kind.is_metadata else place

    def store_path(self, kind: Kind, uuid: str, entry: str) -> str:
        """The path of one of them."""
        return f"{self.store_place(kind, uuid).path}/{entry}"

    def uuid_path(self, kind: Kind, uuid: str) -> str:
        """What ``uuidfs path`` prints: a file for config and log, a directory for the others."""
        path = self.store_place(kind, uuid).path
        return {Kind.CONFIG: f"{path}/{uuid}.xml", Kind.LOG: f"{path}/{uuid}.log"}.get(kind, path)
