"""The whole tree at a glance: names and links, and who is who.

Reads no more than it needs: a name that is our link says by itself which UUID it belongs to;
only regular configs are parsed.
"""

from typing import NamedTuple

from uuidfs.layout.names import NOBODY
from uuidfs.layout.places import Kind, Layout


class Problem(NamedTuple):
    """Something that is left alone, and why; ``name`` when it concerns one domain."""

    path: str
    reason: str
    name: str | None = None


class Scan:
    """The whole tree at a glance; :func:`scan_all` makes it."""

    def __init__(self, layout: Layout, *, incomplete: bool = False) -> None:
        self.layout = layout
        self.configs: dict[str, str | None] = {}  # entry -> link text
        self.uuid_of: dict[str, str] = {}  # name -> UUID
        self.source_of: dict[str, str] = {}  # name -> "config", "status" or "hook"
        self.names_of: dict[str, list[str]] = {}  # UUID -> names
        self.logs: dict[str, str | None] = {}  # entry -> link text
        self.logs_of_name: dict[str, list[tuple[str, str]]] = {}  # name -> suffix, entry
        self.logs_of_uuid: dict[str, list[str]] = {}  # UUID -> entries that link to its logs
        self.config_store: set[str] = set()
        self.log_store: dict[str, list[str]] = {}  # UUID -> suffixes
        self.moved: set[str] = set()  # UUIDs whose log's link another domain has taken
        self.meta_names: dict[Kind, set[str]] = {}
        self.meta_store: dict[Kind, set[str]] = {}
        self.strays: dict[str, dict[tuple[Kind, str], None]] = {}  # UUID -> directories of no
        # domain that hold links to its files
        self.leftovers: dict[str, list[tuple[Kind, bool, str]]] = {}
        self.once: set[str] | None = None  # names with a mark for one autostart; None: not listed
        self.once_notes: set[str] = set()  # UUIDs that the store notes such a mark of
        self.strangers: list[str] = []  # paths in a store that are not ours
        self.problems: list[Problem] = []
        self.unreadable: set[Kind] = set()  # kinds whose directories cannot be handled
        self.skipped: set[Kind] = set()  # kinds that nobody asked for
        self.unread_logs = False  # a name of a log could not be read, or the logs not be listed
        self.status_is_open = False  # QEMU's user can take status files away
        self.rival: str | None = None  # another name whose config still is the store's
        self.incomplete = incomplete  # something that may refer to a store's file could not be read

    def leaves_out(self, kind: Kind) -> bool:
        """Whether files of this kind are to be left alone, whatever is found of them.

        While a second name links to the store's config only the log is safe to handle: the
        other files may be either name's.
        """
        return (
            kind in self.unreadable
            or kind in self.skipped
            or (self.rival is not None and kind is not Kind.LOG)
        )

    def bind(self, name: str, uuid: str, source: str) -> None:
        """Record that ``name`` stands for ``uuid``."""
        self.uuid_of[name] = uuid
        self.source_of[name] = source
        self.names_of.setdefault(uuid, []).append(name)

    def rebind(self, name: str, uuid: str, source: str) -> None:
        """Record what libvirt itself says right now, over what the disk said."""
        former = self.uuid_of.get(name)
        if former is not None:
            self.names_of[former].remove(name)
            if not self.names_of[former]:
                del self.names_of[former]
        self.names_of.pop(uuid, None)
        self.bind(name, uuid, source)

    def uuids(self) -> list[str]:
        """All UUIDs that are bound or have files in a store, in the order of their names."""
        bound = sorted(self.names_of, key=lambda uuid: (self.names_of[uuid][0], uuid))
        rest = {entry[:-4] for entry in self.config_store} | set(self.log_store)
        rest |= self.moved | set(self.logs_of_uuid) | self.once_notes
        if self.once and not self.once <= self.uuid_of.keys():
            rest.add(NOBODY)
        rest |= set(self.leftovers).union(*self.meta_store.values())
        return bound + sorted(rest.difference(self.names_of))


def scan_files(layout: Layout, name: str, uuid: str, kind: Kind) -> Scan:
    """What a view needs of one domain's config and one kind of metadata: nothing is read here.

    For callers that know the binding, and that no other name has this UUID. Sets ``incomplete``.
    """
    result = Scan(layout, incomplete=True)
    result.bind(name, uuid, "config")
    result.configs[f"{name}.xml"] = None
    result.skipped = set(Kind) - {Kind.CONFIG, kind}
    if kind.is_metadata:
        result.meta_names[kind] = {name}
        result.meta_store[kind] = {uuid}
    return result
