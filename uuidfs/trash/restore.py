"""Takes a file out of the trash, back to where libvirt reads it. Never overwrites anything.

The file is linked to its old place, which fails when anything is there, and then unlinked in
the trash. A kill between the two leaves two names of one inode; running again sees that the
place has this very file, and finishes.
"""

import re
import shlex
from typing import NamedTuple

from uuidfs.apply.open_dirs import OpenDirs
from uuidfs.errors import Changed, NoSuchEntry, Refused, SystemCallFailed, show
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import log_base, log_entry, refusal, stored_log
from uuidfs.layout.places import Keepsakes, Kind, Layout
from uuidfs.plan.steps import Op, Step
from uuidfs.runtime.domain_locks import DEFAULT_TIMEOUT, Locks
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import Identity, Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scanner import scan_all
from uuidfs.trash.entries import (
    TrashEntry,
    drop_label,
    identify,
    opened_label,
    path_of,
    pick,
    place_of,
    survey,
)

_NUMBER = re.compile(r"\.(\d+)")

_PACKED = re.compile(r"\.(?:gz|bz2|xz|zst|lzma|lz4|Z)\Z")


class RestoreResult(NamedTuple):
    """Where the file is now, under which name (None: the UUID has none), and what to do next."""

    entry: TrashEntry
    path: str
    name: str | None
    advice: str


def restore(
    layout: Layout,
    wanted: str,
    *,
    lock_timeout: float = DEFAULT_TIMEOUT,
    reader: Reader = read_lxml,
) -> RestoreResult:
    """Put an entry of the trash back; ``wanted`` is what :func:`uuidfs.trash.entries.pick` takes.

    A config becomes a plain NAME.xml, of the name that it says; a snapshot or checkpoint goes
    to the directory of the name that its UUID has now; a log to its store name, or to the next
    free rotation number, with a link where the UUID has a name. ``lock_timeout`` in seconds.

    Raises NoSuchEntry, Busy, Refused when something is in its place or nobody can tell where
    that is, Changed, SystemCallFailed. The trash keeps the file after any error.
    """
    with TrustedDirs(layout) as dirs:
        entry = pick(survey(dirs)[0], wanted)
        with (
            Locks(layout, lock_timeout).hold(entry.uuid),
            opened_label(dirs, entry.kind, entry.label) as directory,
        ):
            found = directory.look(entry.file) if directory is not None else None
            if directory is None or found is None:
                raise NoSuchEntry(wanted)
            if not found.is_file:
                raise Refused(path_of(layout, entry), f"{found.noun} cannot be restored")
            job = _Restore(dirs, entry, directory, found, reader)
            try:
                return job.run()
            except FileNotFoundError as error:
                raise Changed(path_of(layout, entry)) from error
            except OSError as error:
                raise SystemCallFailed("restore", path_of(layout, entry), error) from error
            finally:
                job.open_dirs.close_domain()


class _Restore:
    """One entry's way back; the domain's lock is held."""

    def __init__(
        self, dirs: TrustedDirs, entry: TrashEntry, trash: Directory, found: Entry, reader: Reader
    ) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self.entry = entry
        if isinstance(entry.kind, Keepsakes):
            how = f"run: uuidfs undelete {entry.uuid}"
            raise self._refused("it comes back with its domain", how)
        self.kind = entry.kind
        self.trash = trash
        self.found = found
        self.reader = reader
        self.open_dirs = OpenDirs(dirs)
        self.scan = scan_all(Documents(dirs, reader))

    def run(self) -> RestoreResult:
        """Restore, and make that durable."""
        back = {Kind.CONFIG: self._config, Kind.LOG: self._log}.get(self.kind, self._metadata)
        result = back()
        change.trace("restore: linked")
        # On btrfs somebody's fsync of the trash would make the unlink durable, and not the link.
        self.open_dirs.sync()
        change.unlink(self.trash, self.entry.file)
        drop_label(self.dirs, self.entry.kind, self.entry.label)
        self.open_dirs.touch(place_of(self.layout, self.entry.kind))
        self.open_dirs.touch(place_of(self.layout, self.entry.kind, self.entry.label))
        self.open_dirs.sync()
        return result

    def _config(self) -> RestoreResult:
        identity = self._document("domain")
        name = identity.name or ""
        if (why := refusal(name)) is not None:
            raise self._refused(why)
        entry = f"{name}.xml"
        path = f"{self.layout.names[Kind.CONFIG].path}/{entry}"
        names = self.open_dirs.names(Kind.CONFIG, "")
        if not self._is_back(names, entry, f"{self.entry.uuid}.xml"):
            self._require_unbound()
            self._require_no_other(f"{self.entry.uuid}.xml")
            self._link(names, entry, path)
        return RestoreResult(
            self.entry,
            path,
            name,
            f"restart the libvirt daemon, or run: virsh define {shlex.quote(path)}",
        )

    def _metadata(self) -> RestoreResult:
        kind = self.kind
        identity = self._document(f"domain{kind.value}")
        name = self._bound()
        if name is None:
            raise self._refused("no domain has its UUID now", "restore the domain's config first")
        entry = self.entry.file if self.entry.file.endswith(".xml") else f"{identity.name}.xml"
        if "/" in entry or entry.startswith("."):
            raise self._refused(f"{entry!r} is not a name that libvirt accepts")
        path = f"{self.layout.name_place(kind, name).path}/{entry}"
        if self.dirs.names(kind) is None:
            raise self._refused(f"{self.layout.names[kind].path} is missing")
        names = self.open_dirs.names_made(kind, name)
        if not self._is_back(names, entry, entry):
            self._require_no_other(entry)
            self._link(names, entry, path)
        return RestoreResult(
            self.entry,
            path,
            name,
            f"restart the libvirt daemon, or run: virsh {kind.value}-create --redefine "
            f"{shlex.quote(name)} {shlex.quote(path)}",
        )

    def _log(self) -> RestoreResult:
        name = self._bound()
        store = self._store()
        for suffix in (*self._back(store), *self._suffixes(name)):
            entry = log_entry(self.entry.uuid, suffix)
            there = store.look(entry)
            if there is not None and not there.same_inode(self.found):
                continue
            link = log_entry(name, suffix) if name is not None else None
            if link is not None and not self._log_link(link, entry):
                continue
            if there is None:
                change.trace("restore: log's link made")
                try:
                    change.link(self.trash, self.entry.file, store, entry)
                except FileExistsError:
                    continue  # the domain starts, and virtlogd was faster
            place = self.layout.stores[Kind.LOG] if link is None else self.layout.names[Kind.LOG]
            return RestoreResult(self.entry, f"{place.path}/{link or entry}", name, "")
        raise self._refused("every place for it is taken")

    def _back(self, store: Directory) -> list[str]:
        """Where a kill left this very file in the store."""
        uuid = self.entry.uuid
        return [
            suffix
            for suffix in self.scan.log_store.get(uuid, ())
            if self.found.same_inode(store.look(log_entry(uuid, suffix)))
        ]

    def _log_link(self, link: str, entry: str) -> bool:
        """Make the name's link; tells whether the name leads to the store's entry now.

        Before the file: a kill leaves a link without a file, which the next run removes. A
        file without a link would count as deleted by libvirt, and go to the trash once more.
        """
        names = self.open_dirs.names(Kind.LOG, "")
        text = self.layout.link_text(Kind.LOG, self.entry.uuid, entry)
        try:
            change.symlink(text, names, link)
        except FileExistsError:
            there = names.look(link)
            return there is not None and there.text == text
        return True

    def _suffixes(self, name: str | None) -> list[str]:
        """Its own rotation, else the next two numbers that neither store nor name has."""
        parts = stored_log(self.entry.file)
        own = parts[1] if parts is not None else ""
        base = log_base(own)
        taken = [*self.scan.log_store.get(self.entry.uuid, ())]
        taken += [suffix for suffix, _ in self.scan.logs_of_name.get(name or "", ())]
        rotations = [suffix[len(base) :] for suffix in taken if log_base(suffix) == base]
        numbers = [int(match[1]) for match in map(_NUMBER.match, rotations) if match is not None]
        first = max(numbers, default=-1) + 1
        packed = match[0] if (match := _PACKED.search(own)) is not None else ""
        return [own, *(f"{base}.{number}{packed}" for number in (first, first + 1))]

    # -- what has to hold ----------------------------------------------------------------

    def _document(self, root: str) -> Identity:
        identity = identify(self.trash, self.entry, self.reader)
        if isinstance(identity, str):
            raise self._refused(identity)
        if self.found.uid not in self.dirs.trusted:
            raise self._refused(f"it belongs to uid {self.found.uid}, so libvirt did not write it")
        if identity.root != root:
            raise self._refused(f"it is a <{identity.root}>")
        if identity.uuid not in {None, self.entry.uuid}:
            raise self._refused(f"it belongs to the domain with UUID {identity.uuid}")
        return identity

    def _bound(self) -> str | None:
        """The name that the UUID has now."""
        names = self.scan.names_of.get(self.entry.uuid, [])
        if len(names) > 1:
            raise self._refused(
                f"the domain is called {' and '.join(map(repr, names))}: a rename is in flight, "
                "or was cut in half",
                "run: uuidfs check --repair",
            )
        return names[0] if names else None

    def _require_unbound(self) -> None:
        """A second config of one UUID would look like a rename that was cut in half."""
        if (name := self._bound()) is not None:
            raise self._refused(f"its UUID belongs to the domain {show(name)!r} now")
        if self.scan.incomplete:
            problem = next(iter(self.scan.problems), None)
            raise self._refused(
                "a document that may have its UUID cannot be read"
                + (f" ({show(problem.path)}: {problem.reason})" if problem is not None else "")
            )

    def _is_back(self, names: Directory, entry: str, store_entry: str) -> bool:
        """A kill left it under both names; the reconciler may even have folded it since."""
        there = names.look(entry)
        if there is not None and there.text is None:
            return there.same_inode(self.found)
        text = self.layout.link_text(self.kind, self.entry.uuid, store_entry)
        return (
            there is not None
            and there.text == text
            and self.found.same_inode(self._stored(store_entry))
        )

    def _stored(self, entry: str) -> Entry | None:
        top = self.dirs.store(self.kind)
        if top is None:
            return None
        if not self.kind.is_metadata:
            return top.look(entry)
        directory = top.child(self.entry.uuid)
        if directory is None:
            return None
        with directory:
            return directory.look(entry)

    def _require_no_other(self, entry: str) -> None:
        """The next convert would take a file in the store for an older version, and drop it."""
        there = self._stored(entry)
        if there is not None and not there.same_inode(self.found):
            path = self.layout.store_path(self.kind, self.entry.uuid, entry)
            raise Refused(path, "another version is there", "run first: uuidfs convert --all")

    def _link(self, names: Directory, entry: str, path: str) -> None:
        try:
            change.link(self.trash, self.entry.file, names, entry)
        except FileExistsError as error:
            raise Refused(path, "something is there already; nothing was overwritten") from error

    def _store(self) -> Directory:
        return self.open_dirs.store(Step(Op.ADD_LINK, self.kind, self.entry.uuid))

    def _refused(self, reason: str, advice: str = "") -> Refused:
        return Refused(path_of(self.layout, self.entry), reason, advice)
