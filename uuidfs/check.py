"""Every promise that can be checked on disk, and the repair of what can be repaired.

At boot libvirt waits for ``check --repair``, and mostly there is nothing to do: what only a
repair needs is imported there. So are dataclasses, which cost more than looking at 27 domains.
"""

from typing import NamedTuple

from uuidfs import findings
from uuidfs.convert.results import Options, RunResult
from uuidfs.errors import EXIT_BUSY, EXIT_FOUND, EXIT_OK, Changed, UuidfsError
from uuidfs.files.trusted import TrustedDirs
from uuidfs.findings import Finding
from uuidfs.firmware.presence import may_be_inherited
from uuidfs.layout.names import NOBODY
from uuidfs.layout.places import Kind, Layout
from uuidfs.plan.convert import plan_convert
from uuidfs.plan.steps import Op
from uuidfs.runtime import aside, sessions
from uuidfs.survey.identity import Identity, Reader, read_expat
from uuidfs.survey.scan import Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor
from uuidfs.survey.view import View

TRIES = 5  # looks at what changes under each


class CheckResult(NamedTuple):
    """``repaired`` is what was found before a repair and is gone after it; ``rivals`` are UUIDs
    with more than one name, ``notices`` what is wrong once a domain gets a certain name."""

    findings: tuple[Finding, ...]
    repaired: tuple[Finding, ...] = ()
    busy: bool = False
    rivals: tuple[str, ...] = ()
    notices: tuple[Finding, ...] = ()

    @property
    def to_repair(self) -> tuple[str, ...]:
        """The UUIDs of what ``check --repair`` converts; it finishes the renames of rivals, too."""
        found = (f.uuid for f in self.findings if f.repairable and f.uuid is not None)
        return tuple(dict.fromkeys(found))

    @property
    def exit_code(self) -> int:
        """3 when something is (still) wrong, 75 when that is because a domain was busy."""
        if not self.findings:
            return EXIT_OK
        return EXIT_BUSY if self.busy else EXIT_FOUND


def check(layout: Layout, reader: Reader = read_expat) -> CheckResult:
    """Look at everything and change nothing. A host that was never converted is in order."""
    with TrustedDirs(layout) as dirs:
        surveyor = Surveyor(dirs, reader)
        scan = scan_all(surveyor.documents)
        found = [findings.of_scan(layout, problem) for problem in scan.problems]
        found += [findings.stranger(path) for path in scan.strangers]
        inodes: dict[tuple[int, int], str] = {}
        uuids = [uuid for uuid in scan.uuids() if uuid != NOBODY]  # a notice says that
        for _ in range(TRIES):
            changed: list[str] = []
            for uuid in uuids:
                try:
                    found += _domain(surveyor, scan, uuid, inodes)
                except Changed:  # by libvirt, or by another run of ours
                    changed.append(uuid)
                surveyor.documents.forget()
            if not changed:
                break
            scan, uuids = scan_all(surveyor.documents), changed
        # What changes under each look is libvirt's work right now: that is no finding.
        inherited = _inherited(surveyor, scan)
    rivals = tuple(uuid for uuid, names in scan.names_of.items() if len(names) > 1)
    found += [finding for finding, is_notice in inherited if not is_notice]
    notices = tuple(finding for finding, is_notice in inherited if is_notice)
    return CheckResult(tuple(found), rivals=rivals, notices=notices)


def _inherited(surveyor: Surveyor, scan: Scan) -> list[tuple[Finding, bool]]:
    """What domains share, or would inherit, by their names; and whether that is a notice only."""
    if not may_be_inherited(surveyor.layout):
        return []
    from uuidfs.firmware.findings import inherited

    try:
        found = inherited(surveyor.layout, surveyor.dirs, scan)
    except UuidfsError as error:
        return [(findings.of_error("name", error), False)]
    return [
        (
            Finding(
                "name", one.path, one.problem, one.advice, False, one.uuid, _name(scan, one.uuid)
            ),
            one.is_notice,
        )
        for one in found
    ]


def _domain(
    surveyor: Surveyor, scan: Scan, uuid: str, inodes: dict[tuple[int, int], str]
) -> list[Finding]:
    """What is wrong with one domain. Raises Changed when that could not be told."""
    layout = surveyor.layout
    try:
        view = surveyor.view(scan, uuid)
    except Changed:
        raise
    except UuidfsError as error:
        return [findings.of_error("P7", error, uuid, _name(scan, uuid))]
    name = view.name or _name(scan, uuid)
    plan = plan_convert(layout, view, scan.names_of)
    rivals = bool(view.rivals)
    found = [findings.left_alone(p, uuid, name, rivals=rivals) for p in plan.problems]
    # What the store notes is no promise: the next conversion brings it up to date.
    steps = [step for step in plan.steps if step.op not in {Op.RECORD, Op.NOTE_ONCE}]
    plain = all(step.op in {Op.FOLD, Op.REFILE} for step in steps) and not uuid_has_store(
        scan, uuid
    )
    if not plain:
        found += [findings.to_do(layout, step, name) for step in steps]
    if view.set_aside:
        found += _set_aside(layout, view)
    found += _contents(surveyor, view.name, uuid)
    stored = [view.config.in_store] if view.config is not None else []
    stored += [pair.in_store for pair in view.metadata] + [kept for _, kept in view.log_store]
    for entry in stored:
        if entry is not None and entry.is_file:
            other = inodes.setdefault((entry.dev, entry.ino), uuid)
            if other != uuid:
                found.append(findings.shared(layout, uuid, name, entry.ino, other))
    return found


def _name(scan: Scan, uuid: str | None) -> str | None:
    return next(iter(scan.names_of.get(uuid or "", ())), None)


def _set_aside(layout: Layout, view: View) -> list[Finding]:
    """What a local migration has taken out of libvirt: whose it is, and how it comes back."""
    command = "uuidfs local-migrate --recover"
    advice = f"to put it back, run: {command}"
    session = None
    try:
        session = sessions.read(layout, view.uuid)
    except UuidfsError:
        whose = "whose session cannot be read"
    else:
        if session is None:
            whose = "of an earlier boot, whose session is gone"
        else:
            whose = f"(phase {session.phase}, process {session.pid}, {session.tool})"
            if session.alive:
                command = "uuidfs session list"
                advice = f"it puts it back at its end; to see how far it is: {command}"
            else:
                whose += ", whose process has died"
    pairs = [pair for pair in (view.config, *view.metadata) if pair is not None]
    paths = [
        layout.store_path(pair.kind, view.uuid, pair.store_entry)
        for pair in pairs
        if pair.at_name is None and pair.in_store is not None and pair.in_store.is_file
    ]
    # Without a file in the store, all that there is is what the migration wrote down.
    if not paths and not (session is not None and session.alive):
        paths = [aside.path_of(layout, view.uuid)]
    problem = f"it is set aside by a local migration {whose}"
    return [
        Finding("P9", path, problem, advice, False, view.uuid, view.name, command) for path in paths
    ]


def uuid_has_store(scan: Scan, uuid: str) -> bool:
    """Whether anything of this UUID was ever converted."""
    return (
        f"{uuid}.xml" in scan.config_store
        or uuid in scan.log_store
        or uuid in scan.leftovers
        or any(uuid in stored for stored in scan.meta_store.values())
    )


def _contents(surveyor: Surveyor, name: str | None, uuid: str) -> list[Finding]:
    """What a link's target says inside has to agree with the names outside."""
    store = surveyor.dirs.store(Kind.CONFIG)
    if store is None:
        return []
    entry = f"{uuid}.xml"
    path = f"{surveyor.layout.stores[Kind.CONFIG].path}/{entry}"
    try:
        surveyor.dirs.names(Kind.CONFIG)
        identity = surveyor.documents.identify(store, entry)
    except UuidfsError as error:
        return [findings.of_error("P2", error, uuid, name)]
    layout = surveyor.layout
    if isinstance(identity, Identity):
        if identity.uuid != uuid:
            problem = f"somebody changed the store: this config is of the UUID {identity.uuid}"
            return [findings.damaged(layout, "P5", path, problem, uuid, name)]
        if name is not None and identity.name != name:
            return [findings.misnamed(layout, path, uuid, name, identity.name or "")]
        return []
    if store.look(entry) is not None:
        return [findings.damaged(layout, "P2", path, identity, uuid, name)]
    return []


def repair(layout: Layout, options: Options) -> tuple[CheckResult, RunResult]:
    """Do what can be done, then check again.

    Domains that were never converted stay plain. Raises UuidfsError when nothing could be
    looked at.
    """
    before = check(layout, options.reader)
    if not before.rivals and not before.to_repair:
        return before, RunResult("repair", layout, ())
    from uuidfs.convert.half_rename import finish_rename
    from uuidfs.convert.run import convert
    from uuidfs.host.libvirtd import checkpoints_of, name_of, starts_once

    errors: list[Finding] = []
    for uuid in before.rivals:  # each of these scans the whole tree
        try:
            finish_rename(layout, uuid, name_of, options)
        except UuidfsError as error:
            errors.append(findings.of_error("P6", error, uuid))
    run = RunResult("repair", layout, ())
    if before.to_repair:
        run = convert(
            layout,
            Options(
                before.to_repair,
                lock_timeout=options.lock_timeout,
                reader=options.reader,
                by=options.by,
                checkpoints=checkpoints_of,
                starts_once=starts_once,
            ),
        )
    after = check(layout, options.reader)
    remaining = {(f.path, f.problem) for f in after.findings}
    return CheckResult(
        (*after.findings, *errors),
        tuple(f for f in before.findings if (f.path, f.problem) not in remaining),
        busy=any(domain.busy for domain in run.domains),
        notices=after.notices,
    ), run
