"""convert and revert: for each domain lock -> look -> plan -> apply, for all or for some."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from uuidfs import crew
from uuidfs import plan as planner
from uuidfs.apply import Applier
from uuidfs.dirs import Dirs
from uuidfs.errors import (
    EXIT_BUSY,
    EXIT_FAILED,
    EXIT_OK,
    Busy,
    Changed,
    NoSuchDomain,
    UuidfsError,
)
from uuidfs.layout import Kind, Layout
from uuidfs.locks import Locks
from uuidfs.names import normal_uuid
from uuidfs.scan import Problem, Scan, scan_all
from uuidfs.steps import Op, Plan, Step
from uuidfs.stores import remove_stores
from uuidfs.survey import Surveyor
from uuidfs.tidy import is_tidy
from uuidfs.xmlread import Reader, read_lxml

_SILENT = frozenset({Op.PRUNE, Op.MARK})  # no file's place or link changes by them
TRIES = 5  # looks at a domain that keeps changing, before it is left to the next run


class DomainResult(NamedTuple):
    """What happened to one domain: the steps that were done, or would be in a dry run."""

    name: str | None
    uuid: str
    done: tuple[Step, ...] = ()
    error: str | None = None
    busy: bool = False

    @property
    def files(self) -> int:
        """How many files changed their place or their link."""
        return len({(s.kind, s.entry or s.store_entry) for s in self.done if s.op not in _SILENT})

    def changed(self, layout: Layout) -> tuple[str, ...]:
        """Their paths."""
        paths = (step.path(layout) for step in self.done if step.op not in _SILENT)
        return tuple(dict.fromkeys(paths))

    def steps(self, layout: Layout) -> tuple[str, ...]:
        """The steps in words, as a dry run prints them."""
        return tuple(step.describe(layout) for step in self.done)

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name if self.name is not None else self.uuid


class RunResult(NamedTuple):
    """All that a convert or revert did. ``problems`` belong to no domain that was handled.

    ``names`` are those that each UUID was found bound to, more than one where a rename is in
    flight or was cut in half.
    """

    action: str
    layout: Layout
    domains: tuple[DomainResult, ...]
    problems: tuple[Problem, ...] = ()
    dry_run: bool = False
    kept: tuple[str, ...] = ()
    names: Mapping[str, Sequence[str]] = {}

    @property
    def exit_code(self) -> int:
        """1 when something failed, else 75 when a domain was busy, else 0."""
        if self.problems or any(d.error is not None and not d.busy for d in self.domains):
            return EXIT_FAILED
        return EXIT_BUSY if any(d.busy for d in self.domains) else EXIT_OK


class Options(NamedTuple):
    """How to run. ``domains`` None stands for all; ``lock_timeout`` in seconds.

    ``cpus`` above 1 lets a large run use that many processes; not for callers with threads.
    Files of other ``kinds`` are left as they are, plain or converted. ``by`` is who runs this.
    """

    domains: tuple[str, ...] | None = None
    dry_run: bool = False
    lock_timeout: float = 10.0
    reader: Reader = read_lxml
    progress: Callable[[int, int], None] | None = None
    cpus: int = 1
    kinds: frozenset[Kind] = frozenset(Kind)
    by: str = "convert"


def with_progress(options: Options, progress: Callable[[int, int], None]) -> Options:
    """The same options, with something to call after each domain."""
    return options._replace(progress=progress)


def convert(layout: Layout, options: Options) -> RunResult:
    """Move the domains' files to the UUID layout.

    A domain that fails keeps its names as they were and is reported; the others go on.
    Raises UuidfsError only when nothing could be done at all.
    """
    with Dirs(layout) as dirs:
        return _Run(layout, dirs, options, "convert", options.by).all()


def revert(layout: Layout, options: Options) -> RunResult:
    """Give the domains back libvirt's own layout; reverting all removes our directories too."""
    with Dirs(layout) as dirs:
        result = _Run(layout, dirs, options, "revert", "revert").all()
        if options.domains is not None or options.dry_run or result.exit_code != EXIT_OK:
            return result
        kept = tuple(remove_stores(dirs))
        return result._replace(kept=kept)


class _Run:
    def __init__(self, layout: Layout, dirs: Dirs, options: Options, action: str, by: str) -> None:
        self.layout = layout
        self.dirs = dirs
        self.options = options
        self.action = action
        self.surveyor = Surveyor(dirs, options.reader, options.cpus)
        self.applier = Applier(dirs, by)
        self.locks = Locks(layout, options.lock_timeout)
        self.scan = self._scan()
        self._second_scan: Scan | None = None

    def _scan(self) -> Scan:
        scan = scan_all(self.surveyor.documents)
        scan.broken |= set(Kind) - self.options.kinds
        return scan

    def all(self) -> RunResult:
        uuids = self._chosen()
        workers = crew.size(len(uuids), self.options.cpus)
        with self.applier:
            results: dict[str, DomainResult] = {}
            for part, outcome in crew.spread(uuids, partial(self._part, workers), workers):
                done = outcome or self._part(1, self._doubt(part))
                results.update(zip(part, done, strict=True))
        if self.options.progress is not None:
            self.options.progress(len(uuids), len(uuids))
        return RunResult(
            self.action,
            self.layout,
            tuple(results[uuid] for uuid in uuids),
            self._problems(),
            dry_run=self.options.dry_run,
            names=self.scan.names_of,
        )

    def _part(self, workers: int, uuids: Sequence[str]) -> list[DomainResult]:
        """Handle some of the domains, in one of ``workers`` processes; durable when it returns."""
        results = []
        for number, uuid in enumerate(uuids):
            if self.options.progress is not None:
                self.options.progress(number * workers, len(uuids) * workers)
            results.append(self._one(uuid))
        self.applier.handles.sync()
        return results

    def _doubt(self, uuids: Sequence[str]) -> Sequence[str]:
        """A process was killed in these domains: whatever it touched is synced, and done again."""
        for uuid in uuids:
            self.applier.handles.doubt(self.scan.names_of.get(uuid, ()), uuid)
        self.scan = self._scan()
        return uuids

    def _chosen(self) -> list[str]:
        if self.options.domains is None:
            return self.scan.uuids()
        chosen = (find(self.scan, domain) for domain in self.options.domains)
        return list(dict.fromkeys(chosen))

    def _problems(self) -> tuple[Problem, ...]:
        """Of the scan; with domains named, only those that no name explains."""
        if self.options.domains is None:
            return tuple(self.scan.problems)
        return tuple(p for p in self.scan.problems if p.name is None)

    def _one(self, uuid: str) -> DomainResult:
        names = self.scan.names_of.get(uuid, [])
        name = names[0] if len(names) == 1 else None
        if self.action == "convert" and is_tidy(self.dirs, self.scan, uuid):
            return DomainResult(name, uuid)
        done: list[Step] = []
        try:
            if self.options.dry_run or not names:
                plan = self._plan(uuid)
                if self.options.dry_run or not plan.steps:
                    return self._result(name, plan, plan.steps)
            with self.locks.hold(uuid):
                plan = self._apply(uuid, done)
            return self._result(name, plan, done)
        except Busy as error:
            return DomainResult(name, uuid, error=str(error), busy=True)
        except UuidfsError as error:
            return self._result(name, Plan(uuid, name), done, str(error))
        finally:
            self.applier.close_domain()

    def _apply(self, uuid: str, done: list[Step]) -> Plan:
        """Look, plan and apply under the lock; look again when libvirt was faster."""
        for attempt in range(TRIES):
            try:
                plan = self._plan(uuid)
                for step in plan.steps:
                    self.applier.run(step)
                    done.append(step)
            except Changed:
                if attempt == TRIES - 1:
                    raise
                self.applier.close_domain()
                # Rotated or renamed: there are new names as well.
                self.scan = self._scan()
                self._second_scan = None
            else:
                return plan
        raise AssertionError("unreachable")

    def _plan(self, uuid: str) -> Plan:
        plan = self._plan_from(self.scan, uuid)
        if not _trashed(plan):
            return plan
        # A listing that runs while libvirt renames a domain, or virtlogd rotates a log, can
        # miss both the old and the new name: nothing is unreferenced before a second scan
        # has found the same.
        if self._second_scan is None:
            self._second_scan = self._scan()
        again = self._plan_from(self._second_scan, uuid)
        if not _trashed(again) <= _trashed(plan):
            self._second_scan = None
            raise Changed(next(iter(plan.steps)).path(self.layout))
        return again

    def _plan_from(self, scan: Scan, uuid: str) -> Plan:
        view = self.surveyor.view(scan, uuid)
        if self.action == "revert":
            return planner.revert(self.layout, view)
        return planner.convert(self.layout, view, scan.names_of)

    def _result(
        self, name: str | None, plan: Plan, steps: Iterable[Step], error: str | None = None
    ) -> DomainResult:
        texts = [f"{p.path}: {p.reason}" for p in plan.problems]
        if error is not None:
            texts.append(error)
        return DomainResult(name, plan.uuid, tuple(steps), "; ".join(texts) or None)


def _trashed(plan: Plan) -> set[tuple[object, ...]]:
    return {(s.kind, s.store_entry, s.room) for s in plan.steps if s.op is Op.TRASH}


def find(scan: Scan, domain: str) -> str:
    """Return the UUID that a name or UUID on the command line means, in virsh's order.

    virsh 9.0 takes a UUID before a name, so a domain whose name is another one's UUID is
    reached by its own UUID. Raises NoSuchDomain.
    """
    uuid = normal_uuid(domain) if len(domain) >= 32 else None
    if uuid is not None and (uuid in scan.names_of or uuid in scan.uuids()):
        return uuid
    if domain in scan.uuid_of:
        return scan.uuid_of[domain]
    for problem in scan.problems:
        if problem.name == domain:
            raise NoSuchDomain(domain, f"{problem.path}: {problem.reason}")
    raise NoSuchDomain(domain)
