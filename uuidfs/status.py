"""The state of every domain and file, as ``uuidfs status`` tells it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import Enum

from uuidfs.errors import Changed, UuidfsError
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import NOBODY, log_base, log_entry, log_target
from uuidfs.layout.places import STORE, Kind, Layout
from uuidfs.plan.draft import is_placeholder
from uuidfs.runtime import reconciler_state
from uuidfs.runtime.reconciler_state import ReconcilerState
from uuidfs.survey.identity import Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.resolve import uuid_of
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor
from uuidfs.survey.view import LogName, Pair, View

_TRIES = 4


class FileState(Enum):
    """How far a file is on its way behind its link. The value is what people and JSON see.

    A domain has the state that its files add up to: plain, converted, partial or conflict.
    """

    PLAIN = "plain"
    CONVERTED = "converted"
    PARTIAL = "partial"
    """A fold was begun and not finished; of a domain, that its files differ."""
    STALE = "stale"
    """libvirt wrote a newer file over the link, or another domain had the name before."""
    ROTATED = "rotated"
    """A log's link that points at another rotation than its name says."""
    MOVED = "moved"
    """A log whose link is under a name that the domain had before."""
    STRAY = "stray"
    """A link to metadata, in a directory whose name no domain has."""
    MISFILED = "misfiled"
    """A checkpoint that libvirt wrote into the snapshots' directory."""
    UNREFERENCED = "unreferenced"
    """A file in the store that no name refers to."""
    MISSING = "missing"
    """A link of ours whose file is not in the store."""
    CONFLICT = "conflict"
    """Something that uuidfs leaves alone."""


DOMAIN_STATES = ("plain", "converted", "partial", "conflict")
"""Those that a domain can have."""


@dataclass(frozen=True)
class FileStatus:
    """One file. ``name_path`` is None where no name refers to it."""

    kind: Kind
    name_path: str | None
    uuid_path: str
    state: FileState


@dataclass(frozen=True)
class DomainStatus:
    """One UUID; ``name`` is None when nothing binds it to a name (undefined)."""

    name: str | None
    uuid: str
    source: str | None
    state: FileState
    files: tuple[FileStatus, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class StatusResult:
    """Everything that ``uuidfs status`` shows."""

    domains: tuple[DomainStatus, ...]
    undefined: tuple[DomainStatus, ...]
    unbound: tuple[str, ...]  # logs and metadata directories whose name belongs to no domain
    leftovers: tuple[str, ...]  # of killed runs
    problems: tuple[Problem, ...]
    reconciler: ReconcilerState | None  # of the one that runs
    live: bool  # whether one ought to
    uuids: tuple[str, ...] = ()  # all that are known, also those that were not asked for

    def only(self, wanted: Callable[[DomainStatus], bool]) -> "StatusResult":
        """The same of some domains. What is of no domain, and no problem, is left out."""
        return replace(
            self,
            domains=tuple(filter(wanted, self.domains)),
            undefined=tuple(filter(wanted, self.undefined)),
            unbound=(),
        )


def in_state(result: StatusResult, states: Collection[FileState]) -> StatusResult:
    """The domains that are in one of these states, and nothing else."""
    found = result.only(lambda domain: domain.state in states)
    return replace(found, leftovers=(), problems=())


def with_problems(result: StatusResult) -> StatusResult:
    """What needs a look: domains that are neither plain nor converted, or have a problem; what
    killed runs have left; and what could not be read."""
    fine = {FileState.PLAIN, FileState.CONVERTED}
    return result.only(lambda domain: domain.state not in fine or bool(domain.problems))


def status_of(
    layout: Layout, domains: tuple[str, ...] | None = None, reader: Reader = read_lxml
) -> StatusResult:
    """Survey everything and change nothing; needs no lock.

    Raises NoSuchDomain, or SystemCallFailed when the configs cannot be listed.
    """
    with TrustedDirs(layout) as dirs:
        surveyor = Surveyor(dirs, reader)
        scan = scan_all(surveyor.documents)
        uuids = scan.uuids() if domains is None else [uuid_of(scan, name) for name in domains]
        uuids = [uuid for uuid in uuids if uuid != NOBODY]
        states = [domain_state(surveyor, scan, uuid) for uuid in dict.fromkeys(uuids)]
    leftovers = [
        f"{layout.stores[kind].path}/{f'{STORE}/' if room else ''}{entry}"
        for uuid in scan.leftovers
        for kind, room, entry in scan.leftovers[uuid]
    ]
    return StatusResult(
        tuple(s for s in states if s.name is not None or s.state == FileState.CONFLICT),
        tuple(s for s in states if s.name is None and s.state != FileState.CONFLICT),
        tuple(unbound(layout, scan)) if domains is None else (),
        tuple(sorted(leftovers)),
        tuple(scan.problems),
        reconciler_state.read(layout),
        layout.live,
        tuple(scan.uuids()),
    )


def unbound(layout: Layout, scan: Scan) -> list[str]:
    """Paths named after a domain that libvirt does not have (any more). A name whose config cannot
    be read is one that it has."""
    paths = []
    known = scan.uuid_of.keys() | {problem.name for problem in scan.problems}
    for stem, entries in scan.logs_of_name.items():
        if stem not in known:
            paths += [
                f"{layout.names[Kind.LOG].path}/{entry}"
                for _, entry in entries
                if scan.logs[entry] is None
            ]
    for kind, names in scan.meta_names.items():
        paths += [f"{layout.names[kind].path}/{name}" for name in names if name not in known]
    return sorted(paths)


def domain_state(surveyor: Surveyor, scan: Scan, uuid: str) -> DomainStatus:
    """Look at one UUID. What cannot be looked at is a conflict with the reason."""
    names = scan.names_of.get(uuid, [])
    name = names[0] if names else None
    source = scan.source_of[name] if name is not None else None
    try:
        view = _view(surveyor, scan, uuid)
    except UuidfsError as error:
        problem = Problem(error.path, str(error), name)
        return DomainStatus(name, uuid, source, FileState.CONFLICT, (), (problem,))
    files = tuple(file_states(surveyor.layout, view))
    problems = list(view.problems)
    if view.rivals:
        others = " and ".join(repr(n) for n in view.rivals)
        problems.append(
            Problem(
                surveyor.layout.names[Kind.CONFIG].path,
                f"the configs of {others} carry one UUID (a rename in flight, or cut in half)",
                name,
            )
        )
    problems += [
        Problem(f"{surveyor.layout.name_place(p.kind, p.subdir).path}/{p.entry}", p.why_not, name)
        for p in (*((view.config,) if view.config else ()), *view.metadata)
        if p.why_not
    ]
    return DomainStatus(name, uuid, source, overall(view, files), files, tuple(problems))


def _view(surveyor: Surveyor, scan: Scan, uuid: str) -> View:
    """A view; looks again where libvirt replaces a file, or virtlogd rotates a log, meanwhile."""
    for _ in range(_TRIES):
        try:
            return surveyor.view(scan, uuid)
        except Changed:
            scan = scan_all(surveyor.documents)
    return surveyor.view(scan, uuid)


def overall(view: View, files: tuple[FileStatus, ...]) -> FileState:
    """The state of a domain from those of its files."""
    states = {file.state for file in files}
    if view.rivals or view.problems or states & {FileState.CONFLICT, FileState.MISSING}:
        return FileState.CONFLICT
    if states <= {FileState.PLAIN}:
        return FileState.PLAIN
    return FileState.CONVERTED if states == {FileState.CONVERTED} else FileState.PARTIAL


def file_states(layout: Layout, view: View) -> list[FileStatus]:
    """All files of a view, config first, then logs, snapshots and checkpoints."""
    result = []
    if view.config is not None:
        result.append(_pair_state(layout, view, view.config))
    result += _log_states(layout, view)
    result += [_pair_state(layout, view, pair) for pair in view.metadata]
    for pair in view.misfiled:
        path = f"{layout.name_place(Kind.SNAPSHOT, pair.subdir).path}/{pair.entry}"
        target = layout.store_path(Kind.CHECKPOINT, view.uuid, pair.entry)
        result.append(FileStatus(Kind.CHECKPOINT, path, target, FileState.MISFILED))
    for pair in view.strays:
        path = f"{layout.name_place(pair.kind, pair.subdir).path}/{pair.entry}"
        target = layout.store_path(pair.kind, view.uuid, pair.entry)
        result.append(FileStatus(pair.kind, path, target, FileState.STRAY))
    return result


def _pair_state(layout: Layout, view: View, pair: Pair) -> FileStatus:
    name, stored = pair.at_name, pair.in_store
    holder = is_placeholder(layout, pair, view.uuid)
    if pair.why_not is not None or (stored is not None and not stored.is_file and not holder):
        state = FileState.CONFLICT
    elif name is None:
        state = FileState.UNREFERENCED
    elif name.is_file:
        state = (
            FileState.PLAIN if stored is None else FileState.PARTIAL if holder else FileState.STALE
        )
    elif name.text != layout.link_text(pair.kind, view.uuid, pair.store_entry):
        state = FileState.CONFLICT
    else:
        state = FileState.MISSING if stored is None or holder else FileState.CONVERTED
    path = f"{layout.name_place(pair.kind, pair.subdir).path}/{pair.entry}"
    return FileStatus(
        pair.kind,
        path if pair.entry and name is not None else None,
        layout.store_path(pair.kind, view.uuid, pair.store_entry),
        state,
    )


def _log_states(layout: Layout, view: View) -> list[FileStatus]:
    base, store = layout.names[Kind.LOG].path, layout.stores[Kind.LOG].path
    stored = dict(view.log_store)
    result = []

    def add(log: LogName, state: FileState) -> None:
        result.append(
            FileStatus(
                Kind.LOG,
                f"{base}/{log.entry}",
                f"{store}/{log_entry(view.uuid, log.suffix)}",
                state,
            )
        )

    referenced = set()
    for log in view.logs:
        target = log_target(log.at_name.text) if log.at_name.text is not None else None
        if target is not None:
            referenced.add(target[1])
            right = target[1] == log.suffix and (
                log.suffix in stored or log.suffix == log_base(log.suffix)
            )
            add(log, FileState.CONVERTED if right else FileState.ROTATED)
        elif log.at_name.is_file:
            add(log, FileState.STALE if log.suffix in stored else FileState.PLAIN)
        else:
            add(log, FileState.CONFLICT)
    for log in view.taken:
        add(log, FileState.STALE)
    for log in view.away:
        referenced.add(log.suffix)
        add(log, FileState.MOVED if view.name is not None else FileState.CONVERTED)
    for suffix in stored:
        if suffix not in referenced:
            path = f"{store}/{log_entry(view.uuid, suffix)}"
            result.append(FileStatus(Kind.LOG, None, path, FileState.UNREFERENCED))
    return result
