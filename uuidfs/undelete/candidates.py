"""Which domains can come back, and what there is of each. Changes nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from uuidfs.errors import NoSuchDomain, UsageError, UuidfsError, show
from uuidfs.files.directory import Directory, opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.keepsakes.sources import AUTOSTART, SAVE
from uuidfs.layout.names import UNDELETE_MARK, is_uuid
from uuidfs.layout.places import KEPT, Kind, Layout, Place
from uuidfs.layout.trash_label import Reason
from uuidfs.layout.words import alike
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import MAX_BYTES, Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.trash.entries import Bin, TrashEntry, place_of, survey

_GONE = frozenset({Reason.UNDEFINED.value, Reason.UNNAMED.value})

# Where its guest runs on the domain has a name, and its config was deleted.
_CONFIG_GONE = _GONE | {Reason.DELETED.value}

# ``undefine --snapshots-metadata`` takes the snapshots first, and a pass may come in between.
_TOGETHER = timedelta(seconds=5)

_LAST = datetime.max.replace(tzinfo=UTC)


class Part(NamedTuple):
    """One file of a domain. ``entry`` is its place in the trash; None while it lies in ``place``
    of a store, or among the keepsakes, since nobody has looked since the domain was undefined."""

    kind: Bin
    file: str
    place: Place
    entry: TrashEntry | None = None

    @property
    def path(self) -> str:
        """Where it is now."""
        return f"{self.place.path}/{self.file}"


class Candidate(NamedTuple):
    """A domain that can come back. ``name`` is its last one; ``when`` it was found undefined, in
    UTC, None where nobody has looked since. ``begun``: an undelete of it was cut off, and
    ``bound`` the name that it has since. ``running``: its guest runs on, as a transient domain."""

    uuid: str
    name: str
    when: datetime | None
    parts: tuple[Part, ...]
    begun: bool = False
    bound: str | None = None
    running: bool = False

    @property
    def config(self) -> Part:
        """Its definition."""
        return next(part for part in self.parts if part.kind is Kind.CONFIG)

    def of(self, kind: Bin) -> list[Part]:
        """The parts of one kind."""
        return [part for part in self.parts if part.kind is kind]

    @property
    def keepsakes(self) -> list[Part]:
        """Those that are files."""
        return [part for part in self.of(KEPT) if part.file != AUTOSTART]

    @property
    def autostart(self) -> bool:
        """Whether libvirt was to start it by itself."""
        return any(part.file == AUTOSTART for part in self.of(KEPT))


class Found(NamedTuple):
    """Domains that can come back, the last undefined last; what cannot be told; the UUIDs of the
    names that there are."""

    candidates: tuple[Candidate, ...]
    problems: tuple[Problem, ...]
    uuid_of: dict[str, str]


def find(layout: Layout, reader: Reader = read_lxml) -> Found:
    """Look into stores and trash. Raises Refused when they cannot be trusted, SystemCallFailed."""
    with TrustedDirs(layout) as dirs:
        trashed, strangers = survey(dirs)
        scan = scan_all(Documents(dirs, reader))
        look = _Look(dirs, scan, trashed, reader)
        found = [candidate for uuid in look.uuids() if (candidate := look.candidate(uuid))]
        found.sort(key=lambda one: (one.when or _LAST, one.name))
        return Found(tuple(found), (*strangers, *look.problems), dict(scan.uuid_of))


def pick(found: Found, wanted: str) -> Candidate:
    """The candidate with this UUID or name, or whose UUID or name alone begins so.

    Raises NoSuchDomain, UsageError when there are several or the domain is there.
    """
    uuid = wanted.lower()
    for matches in (
        [one for one in found.candidates if one.uuid == uuid],
        [one for one in found.candidates if one.name == wanted],
        [one for one in found.candidates if _begins_so(one.uuid, uuid)],
        [one for one in found.candidates if wanted and one.name.startswith(wanted)],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            uuids = ", ".join(one.uuid for one in matches)
            raise UsageError(f"{show(wanted)!r} may be each of {uuids}: write the UUID")
    if wanted in found.uuid_of or uuid in found.uuid_of.values():
        raise UsageError(f"the domain {show(wanted)!r} is there; only what is gone can come back")
    near = alike(wanted, [one.name for one in found.candidates])
    why = "nothing of it is in the trash" + ("" if near else "; uuidfs undelete lists what is")
    raise NoSuchDomain(wanted, why, near)


def _begins_so(uuid: str, word: str) -> bool:
    """With or without hyphens."""
    return bool(word) and (uuid.startswith(word) or uuid.replace("-", "").startswith(word))


class _Look:
    def __init__(
        self, dirs: TrustedDirs, scan: Scan, trashed: Iterable[TrashEntry], reader: Reader
    ) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self.scan = scan
        self.reader = reader
        self.problems: list[Problem] = []
        self._trashed: dict[str, list[TrashEntry]] = {}
        for entry in trashed:
            self._trashed.setdefault(entry.uuid, []).append(entry)

    def uuids(self) -> list[str]:
        stored = {entry[:-4] for entry in self.scan.config_store if is_uuid(entry[:-4])}
        return sorted(stored | set(self._trashed))

    def candidate(self, uuid: str) -> Candidate | None:
        names = self.scan.names_of.get(uuid, [])
        bound = [name for name in names if self.scan.source_of[name] != "status"]
        label = self._mark(uuid)
        if bound and label is None:
            return None  # it is there
        when, parts = self._from_trash(uuid, label, is_bound=bool(bound))
        if not bound and f"{uuid}.xml" in self.scan.config_store:
            when, parts = None, self._from_store(uuid)
        elif names and parts:
            parts += self._kept(uuid)  # the guest runs on, and is not given up
        config = next((part for part in parts if part.kind is Kind.CONFIG), None)
        name = self._name(uuid, config) if config is not None else None
        if name is None:
            return None
        return Candidate(
            uuid,
            name,
            when,
            tuple(parts),
            label is not None,
            bound[0] if bound else None,
            running=bool(names) and not bound,
        )

    def _from_trash(
        self, uuid: str, label: str | None, *, is_bound: bool
    ) -> tuple[datetime | None, list[Part]]:
        """What went with the config that a mark says, else with the newest of a UUID."""
        entries = self._trashed.get(uuid, [])
        configs = [e for e in entries if e.kind is Kind.CONFIG and e.reason in _CONFIG_GONE]
        chosen = [e for e in configs if e.label == label] or ([] if is_bound else configs)
        if not chosen:
            return None, []
        config = max(chosen, key=lambda entry: (entry.when, len(entry.label), entry.label))
        parts: dict[tuple[Bin, str], TrashEntry] = {(Kind.CONFIG, config.file): config}
        for entry in entries:  # the newest of a name last
            if entry.kind not in {Kind.CONFIG, Kind.LOG} and _went_with(entry, config, configs):
                parts[entry.kind, entry.file] = entry
        return config.when, [
            Part(kind, file, place_of(self.layout, kind, entry.label), entry)
            for (kind, file), entry in parts.items()
        ]

    def _from_store(self, uuid: str) -> list[Part]:
        parts = [Part(Kind.CONFIG, f"{uuid}.xml", self.layout.stores[Kind.CONFIG])]
        for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
            place = self.layout.store_place(kind, uuid)
            parts += [Part(kind, file, place) for file in self._files(place)]
        return parts + self._kept(uuid)

    def _kept(self, uuid: str) -> list[Part]:
        place = self.layout.kept.child(uuid)
        return [Part(KEPT, file, place) for file in self._files(place)]

    def _files(self, place: Place) -> list[str]:
        """All but temporary names and notes."""
        directory = self._opened(place)
        if directory is None:
            return []
        with directory:
            return sorted(
                name
                for name in directory.list()
                if name.endswith(".xml") or not name.startswith("~")
            )

    def _mark(self, uuid: str) -> str | None:
        directory = self._opened(self.layout.kept.child(uuid))
        if directory is None:
            return None
        with directory:
            return directory.link_text(UNDELETE_MARK)

    def _opened(self, place: Place) -> Directory | None:
        try:
            return opened(place)
        except UuidfsError as error:
            self.problems.append(Problem(error.path, error.reason))
            return None

    def _name(self, uuid: str, config: Part) -> str | None:
        directory = self._opened(config.place)
        if directory is None:
            return None
        with directory:
            try:
                data = directory.read(config.file, MAX_BYTES)
            except UuidfsError as error:
                self.problems.append(Problem(error.path, error.reason))
                return None
        identity = self.reader(data) if data is not None else "it is gone"
        if isinstance(identity, str):
            self.problems.append(Problem(config.path, identity))
            return None
        if identity.root != "domain" or identity.uuid != uuid or identity.name is None:
            self.problems.append(Problem(config.path, "it is not the definition of its domain"))
            return None
        return identity.name


def _went_with(entry: TrashEntry, config: TrashEntry, configs: list[TrashEntry]) -> bool:
    """Whether a file went when this config did, and not when another one of its UUID did."""
    nearest = min(configs, key=lambda other: abs(other.when - entry.when))
    apart = entry.when - config.when
    if nearest.label != config.label or apart < -_TOGETHER:
        return False
    if entry.reason == Reason.DELETED.value or entry.file == SAVE:
        return apart <= _TOGETHER
    return entry.reason in _GONE  # much later, where the guest ran on
