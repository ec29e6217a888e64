"""convert and revert: for each domain lock -> look -> plan -> apply, for all or for some."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from uuidfs import plan as planner
from uuidfs.apply import Applier, remove_stores
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
from uuidfs.layout import Layout
from uuidfs.locks import Locks
from uuidfs.names import normal_uuid
from uuidfs.scan import Problem, Scan, scan_all
from uuidfs.steps import Op, Plan, Step
from uuidfs.survey import Surveyor
from uuidfs.tidy import is_tidy
from uuidfs.xmlread import Reader, read_lxml

TRIES = 5  # looks at a domain that keeps changing, before it is left to the next run


@dataclass(frozen=True)
class DomainResult:
    """What happened to one domain. ``changed`` are paths, ``steps`` the plan's own words."""

    name: str | None
    uuid: str
    changed: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    error: str | None = None
    busy: bool = False

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name if self.name is not None else self.uuid


@dataclass(frozen=True)
class RunResult:
    """All that a convert or revert did. ``problems`` belong to no domain that was handled."""

    action: str
    domains: tuple[DomainResult, ...]
    problems: tuple[Problem, ...] = ()
    dry_run: bool = False
    kept: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 when something failed, else 75 when a domain was busy, else 0."""
        if self.problems or any(d.error is not None and not d.busy for d in self.domains):
            return EXIT_FAILED
        return EXIT_BUSY if any(d.busy for d in self.domains) else EXIT_OK


@dataclass(frozen=True)
class Options:
    """How to run. ``domains`` None stands for all; ``lock_timeout`` in seconds."""

    domains: tuple[str, ...] | None = None
    dry_run: bool = False
    lock_timeout: float = 10.0
    reader: Reader = read_lxml
    progress: Callable[[int, int], None] | None = None


def with_progress(options: Options, progress: Callable[[int, int], None]) -> Options:
    """The same options, with something to call after each domain."""
    return replace(options, progress=progress)


def convert(layout: Layout, options: Options) -> RunResult:
    """Move the domains' files to the UUID layout.

    A domain that fails keeps its names as they were and is reported; the others go on.
    Raises UuidfsError only when nothing could be done at all.
    """
    with Dirs(layout) as dirs:
        return _Run(layout, dirs, options, "convert").all()


def revert(layout: Layout, options: Options) -> RunResult:
    """Give the domains back libvirt's own layout; reverting all removes our directories too."""
    with Dirs(layout) as dirs:
        result = _Run(layout, dirs, options, "revert").all()
        if options.domains is not None or options.dry_run or result.exit_code != EXIT_OK:
            return result
        kept = tuple(remove_stores(dirs))
        return RunResult(result.action, result.domains, result.problems, kept=kept)


class _Run:
    def __init__(self, layout: Layout, dirs: Dirs, options: Options, action: str) -> None:
        self.layout = layout
        self.dirs = dirs
        self.options = options
        self.action = action
        self.surveyor = Surveyor(dirs, options.reader)
        self.applier = Applier(dirs)
        self.locks = Locks(layout, options.lock_timeout)
        self.scan = scan_all(self.surveyor.documents)
        self._second_scan: Scan | None = None

    def all(self) -> RunResult:
        uuids = self._chosen()
        results = []
        with self.applier:
            for number, uuid in enumerate(uuids):
                if self.options.progress is not None:
                    self.options.progress(number, len(uuids))
                results.append(self._one(uuid))
        if self.options.progress is not None:
            self.options.progress(len(uuids), len(uuids))
        return RunResult(
            self.action, tuple(results), self._problems(), dry_run=self.options.dry_run
        )

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
                self.scan = scan_all(self.surveyor.documents)
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
            self._second_scan = scan_all(self.surveyor.documents)
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
        steps = tuple(steps)
        texts = [f"{p.path}: {p.reason}" for p in plan.problems]
        if error is not None:
            texts.append(error)
        return DomainResult(
            name,
            plan.uuid,
            tuple(dict.fromkeys(
                step.path(self.layout) for step in steps if step.op not in {Op.PRUNE, Op.MARK}
            )),
            tuple(step.describe(self.layout) for step in steps),
            "; ".join(texts) or None,
        )


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
