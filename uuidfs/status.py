"""The state of every domain and file, as ``uuidfs status`` and ``uuidfs check`` tell it."""

from dataclasses import dataclass

from uuidfs.errors import UuidfsError
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import log_target
from uuidfs.layout.places import STORE, Kind, Layout
from uuidfs.plan.draft import is_placeholder
from uuidfs.runtime import reconciler_state
from uuidfs.runtime.reconciler_state import ReconcilerState
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.resolve import uuid_of
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor
from uuidfs.survey.view import LogName, Pair, View

PLAIN, CONVERTED, PARTIAL, CONFLICT = "plain", "converted", "partial", "conflict"


@dataclass(frozen=True)
class FileState:
    """One file. ``state`` is plain, converted, stale (libvirt wrote a newer one beside the
    link's target), rotated, moved (its link is under an old name), stray (in a
    directory of no domain), misfiled, unreferenced, missing, or conflict."""

    kind: Kind
    name_path: str | None
    uuid_path: str
    state: str


@dataclass(frozen=True)
class DomainState:
    """One UUID; ``name`` is None when nothing binds it to a name (undefined)."""

    name: str | None
    uuid: str
    source: str | None
    state: str
    files: tuple[FileState, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class StatusResult:
    """Everything that ``uuidfs status`` shows."""

    domains: tuple[DomainState, ...]
    undefined: tuple[DomainState, ...]
    unbound: tuple[str, ...]  # logs and metadata directories whose name belongs to no domain
    leftovers: tuple[str, ...]  # of killed runs
    problems: tuple[Problem, ...]
    reconciler: ReconcilerState | None  # of the one that runs
    live: bool  # whether one ought to


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
        states = [domain_state(surveyor, scan, uuid) for uuid in dict.fromkeys(uuids)]
    leftovers = [
        f"{layout.stores[kind].path}/{f'{STORE}/' if room else ''}{entry}"
        for uuid in scan.leftovers
        for kind, room, entry in scan.leftovers[uuid]
    ]
    return StatusResult(
        tuple(s for s in states if s.name is not None or s.state == CONFLICT),
        tuple(s for s in states if s.name is None and s.state != CONFLICT),
        tuple(unbound(layout, scan)) if domains is None else (),
        tuple(sorted(leftovers)),
        tuple(scan.problems),
        reconciler_state.read(layout),
        layout.live,
    )


def unbound(layout: Layout, scan: Scan) -> list[str]:
    """Paths named after a domain that libvirt does not have (any more)."""
    paths = []
    for stem, entries in scan.logs_of_name.items():
        if stem not in scan.uuid_of:
            paths += [
                f"{layout.names[Kind.LOG].path}/{entry}"
                for _, entry in entries
                if scan.logs[entry] is None
            ]
    for kind, names in scan.meta_names.items():
        paths += [f"{layout.names[kind].path}/{name}" for name in names if name not in scan.uuid_of]
    return sorted(paths)


def domain_state(surveyor: Surveyor, scan: Scan, uuid: str) -> DomainState:
    """Look at one UUID. What cannot be looked at is a conflict with the reason."""
    names = scan.names_of.get(uuid, [])
    name = names[0] if names else None
    source = scan.source_of[name] if name is not None else None
    try:
        view = surveyor.view(scan, uuid)
    except UuidfsError as error:
        problem = Problem(error.path, str(error), name)
        return DomainState(name, uuid, source, CONFLICT, (), (problem,))
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
    return DomainState(name, uuid, source, overall(view, files), files, tuple(problems))


def overall(view: View, files: tuple[FileState, ...]) -> str:
    """The state of a domain from those of its files."""
    states = {file.state for file in files}
    if view.rivals or view.problems or states & {CONFLICT, "missing"}:
        return CONFLICT
    if states <= {PLAIN}:
        return PLAIN
    return CONVERTED if states == {CONVERTED} else PARTIAL


def file_states(layout: Layout, view: View) -> list[FileState]:
    """All files of a view, config first, then logs, snapshots and checkpoints."""
    result = []
    if view.config is not None:
        result.append(_pair_state(layout, view, view.config))
    result += _log_states(layout, view)
    result += [_pair_state(layout, view, pair) for pair in view.metadata]
    for pair in view.misfiled:
        path = f"{layout.name_place(Kind.SNAPSHOT, pair.subdir).path}/{pair.entry}"
        target = f"{layout.store_place(Kind.CHECKPOINT, view.uuid).path}/{pair.entry}"
        result.append(FileState(Kind.CHECKPOINT, path, target, "misfiled"))
    for pair in view.strays:
        path = f"{layout.name_place(pair.kind, pair.subdir).path}/{pair.entry}"
        target = f"{layout.store_place(pair.kind, view.uuid).path}/{pair.entry}"
        result.append(FileState(pair.kind, path, target, "stray"))
    return result


def _pair_state(layout: Layout, view: View, pair: Pair) -> FileState:
    name, stored = pair.at_name, pair.in_store
    holder = is_placeholder(layout, pair, view.uuid)
    if pair.why_not is not None or (stored is not None and not stored.is_file and not holder):
        state = CONFLICT
    elif name is None:
        state = "unreferenced"
    elif name.is_file:
        state = PLAIN if stored is None else PARTIAL if holder else "stale"
    elif name.text != layout.link_text(pair.kind, view.uuid, pair.store_entry):
        state = CONFLICT
    else:
        state = "missing" if stored is None or holder else CONVERTED
    path = f"{layout.name_place(pair.kind, pair.subdir).path}/{pair.entry}"
    return FileState(
        pair.kind,
        path if pair.entry and name is not None else None,
        f"{layout.store_place(pair.kind, view.uuid).path}/{pair.store_entry}",
        state,
    )


def _log_states(layout: Layout, view: View) -> list[FileState]:
    base, store = layout.names[Kind.LOG].path, layout.stores[Kind.LOG].path
    stored = dict(view.log_store)
    result = []

    def add(log: LogName, state: str) -> None:
        result.append(
            FileState(
                Kind.LOG, f"{base}/{log.entry}", f"{store}/{view.uuid}.log{log.suffix}", state
            )
        )

    referenced = set()
    for log in view.logs:
        target = log_target(log.at_name.text) if log.at_name.text is not None else None
        if target is not None:
            referenced.add(target[1])
            right = target[1] == log.suffix and (log.suffix in stored or not log.suffix)
            add(log, CONVERTED if right else "rotated")
        elif log.at_name.is_file:
            add(log, "stale" if log.suffix in stored else PLAIN)
        else:
            add(log, CONFLICT)
    for log in view.taken:
        add(log, "stale")
    for log in view.away:
        referenced.add(log.suffix)
        add(log, "moved" if view.name is not None else CONVERTED)
    for suffix in stored:
        if suffix not in referenced:
            path = f"{store}/{view.uuid}.log{suffix}"
            result.append(FileState(Kind.LOG, None, path, "unreferenced"))
    return result


def uuid_path(layout: Layout, domain: str, kind: Kind, reader: Reader = read_lxml) -> str:
    """Where a domain's files of one kind are, or will be, under its UUID.

    Raises NoSuchDomain.
    """
    with TrustedDirs(layout) as dirs:
        return layout.uuid_path(kind, uuid_of(scan_all(Documents(dirs, reader)), domain))
