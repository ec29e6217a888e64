"""Where a domain's files are, and where they belong.

A :class:`Place` is a trusted directory and the components below it that are opened one by
one without following links: everything that QEMU's user may write to, everything of ours.
The table of all places is docs/design.md, "Layout".

Here and in all modules that the hook imports, what passes between the layers is a NamedTuple
rather than a frozen dataclass: importing dataclasses costs the hook 20 ms.
"""

import os
from enum import Enum
from typing import NamedTuple

from uuidfs.errors import UsageError

LAYOUT = 1
"""Which files are where. A change of the places raises it, here and in the packages: an upgrade
has the older version take its layout back first (docs/packaging.md)."""

STORE = "by-uuid"
TRASH = "trash"


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

    def uuid_path(self, kind: Kind, uuid: str) -> str:
        """What ``uuidfs path`` prints: a file for config and log, a directory for the others."""
        path = self.store_place(kind, uuid).path
        return {Kind.CONFIG: f"{path}/{uuid}.xml", Kind.LOG: f"{path}/{uuid}.log"}.get(kind, path)


def _assemble(
    uri: str,
    *,
    config: Place,
    log: Place,
    lib: Place,
    state: Place,
    status: Place,
    locks: Place,
    live: bool,
) -> Layout:
    """``lib`` holds snapshot/ and checkpoint/ (hostile); ``state`` is the directory above it."""
    names = {Kind.CONFIG: config, Kind.LOG: log}
    stores = {Kind.CONFIG: config.child(STORE), Kind.LOG: log.child(STORE)}
    for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
        names[kind] = lib.child(kind.value)
        stores[kind] = state.child(STORE, kind.value)
    return Layout(uri, names, stores, status, locks, live)


def system(root: str | None = None) -> Layout:
    """The system driver's layout, or the same below ``root`` (links in it are not followed)."""

    def place(path: str) -> Place:
        if root is None:
            return Place("/" + path)
        return Place(os.path.abspath(root), tuple(path.split("/")))

    return _assemble(
        "qemu:///system",
        config=place("etc/libvirt/qemu"),
        log=place("var/log/libvirt/qemu"),
        lib=place("var/lib/libvirt").child("qemu"),
        state=place("var/lib/libvirt"),
        status=place("run/libvirt/qemu"),
        locks=place("run").child("uuidfs", "lock"),
        live=root is None,
    )


def embed(root: str) -> Layout:
    """The layout of ``qemu:///embed?root=ROOT`` (docs/libvirt-facts.md, "Where the files are")."""
    base = Place(os.path.abspath(root))
    return _assemble(
        f"qemu:///embed?root={root}",
        config=base.child("etc", "qemu"),
        log=base.child("log", "qemu"),
        lib=base.child("lib", "qemu"),
        state=base.child("lib"),
        status=base.child("run", "qemu"),
        locks=base.child("run", "uuidfs", "lock"),
        live=False,
    )


def session(environ: dict[str, str]) -> Layout:
    """The layout of ``qemu:///session`` for the user whose environment this is."""
    home = environ.get("HOME")
    if not home:
        raise UsageError("qemu:///session needs HOME in the environment")
    config = Place((environ.get("XDG_CONFIG_HOME") or f"{home}/.config") + "/libvirt")
    cache = Place((environ.get("XDG_CACHE_HOME") or f"{home}/.cache") + "/libvirt")
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return _assemble(
        "qemu:///session",
        config=config.child("qemu"),
        log=cache.child("qemu", "log"),
        lib=config.child("qemu"),
        state=config,
        status=Place(runtime + "/libvirt/qemu", ("run",)),
        locks=Place(runtime, ("uuidfs", "lock")),
        live=True,
    )


def from_uri(uri: str, environ: dict[str, str]) -> Layout:
    """Return the layout that belongs to a libvirt connection URI; raises UsageError."""
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(uri)
    if parts.scheme == "qemu" and not parts.netloc:
        if parts.path == "/system":
            return system()
        if parts.path == "/session":
            return session(environ)
        if parts.path == "/embed":
            root = parse_qs(parts.query).get("root", [""])[0]
            if root.startswith("/"):
                return embed(root)
            raise UsageError("qemu:///embed needs an absolute root: qemu:///embed?root=DIR")
    raise UsageError(
        f"cannot handle --connect {uri}: known are qemu:///system, qemu:///session "
        "and qemu:///embed?root=DIR"
    )
