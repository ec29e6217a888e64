"""convert and revert: for each domain lock -> look -> plan -> apply, for all or for some."""

import os
from collections.abc import Iterable, Sequence
from functools import partial

from uuidfs import workers
from uuidfs.apply.applier import Applier
from uuidfs.convert.attempt import again, attempt
from uuidfs.convert.handled import Handled
from uuidfs.convert.remove_stores import remove_stores
from uuidfs.convert.results import DomainResult, Options, RunResult
from uuidfs.errors import EXIT_OK, Busy, Changed, UuidfsError
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind, Layout
from uuidfs.plan.convert import plan_convert
from uuidfs.plan.revert import plan_revert
from uuidfs.plan.steps import Op, Plan, Step
from uuidfs.runtime.domain_locks import Locks
from uuidfs.runtime.known_checkpoints import KnownCheckpoints
from uuidfs.survey.resolve import uuids_of
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.stamp import Stamp, stamp
from uuidfs.survey.surveyor import Surveyor
from uuidfs.survey.up_to_date import is_up_to_date


def convert(layout: Layout, options: Options) -> RunResult:
    """Move the domains' files to the UUID layout.

    A domain that fails keeps its names as they were and is reported; the others go on.
    Raises UuidfsError only when nothing could be done at all.
    """
    with TrustedDirs(layout) as dirs:
        return _Run(layout, dirs, options, "convert", options.by).all()


def revert(layout: Layout, options: Options) -> RunResult:
    """Give the domains back libvirt's own layout; reverting all removes our directories too."""
    with TrustedDirs(layout) as dirs:
        result = _Run(layout, dirs, options, "revert", "revert").all()
        if options.domains is not None or options.dry_run or result.exit_code != EXIT_OK:
            return result
        kept = tuple(remove_stores(dirs))
        return result._replace(kept=kept)


class _Run:
    def __init__(
        self, layout: Layout, dirs: TrustedDirs, options: Options, action: str, by: str
    ) -> None:
        self.layout = layout
        self.dirs = dirs
        self.options = options
        self.action = action
        self.surveyor = Surveyor(dirs, options.reader, options.cpus)
        self.applier = Applier(dirs, by)
        self.locks = Locks(layout, options.lock_timeout)
        self.process = os.getpid()  # the one that draws
        self.scan = self._scan()
        self._second: tuple[Stamp, Scan] | None = None
        self._misfiled: set[str] = set()  # UUIDs; libvirt has not been asked about them yet
        self._known: dict[str, KnownCheckpoints | None] = {}  # by UUID
        self._keeper = options.keeper(dirs) if options.keeper is not None else None
        self._marked: set[str] = set()  # UUIDs whose mark for one autostart is new to us
        self._starts: dict[str, bool | None] = {}  # by UUID, whether libvirt knows of it

    def _scan(self) -> Scan:
        scan = scan_all(self.surveyor.documents)
        scan.skipped = set(Kind) - self.options.kinds
        return scan

    def _scan_again(self) -> Scan:
        """A second scan that knows all names of now: one that was made is used again only while
        no name has come or gone since. Who adds a link to a file holds the lock of its UUID."""
        second = self._second
        if second is None or not second[0].is_current(self.dirs):
            second = self._second = stamp(self.dirs), self._scan()
        return second[1]

    def all(self) -> RunResult:
        uuids, unknown = self._chosen()
        self.handled = Handled(uuids)
        try:
            with self.applier:
                results = self._spread(uuids)
                retired = self._retire(uuids)
        except KeyboardInterrupt:
            raise self.handled.interrupted() from None
        if self.options.progress is not None:
            self.options.progress(len(uuids), len(uuids))
        return RunResult(
            self.action,
            self.layout,
            tuple(results[uuid] for uuid in uuids),
            (*unknown, *self._problems(), *retired),
            dry_run=self.options.dry_run,
            names=self.scan.names_of,
        )

    def _spread(self, uuids: list[str]) -> dict[str, DomainResult]:
        processes = workers.size(len(uuids), self.options.cpus)
        results: dict[str, DomainResult] = {}
        for part, done in workers.spread(uuids, self._part, processes):
            results.update(zip(part, self._again(part) if done is None else done, strict=True))
        return results

    def _part(self, uuids: Sequence[str]) -> list[DomainResult]:
        """Handle some of the domains, maybe in a process of their own; durable when it returns."""
        results = []
        for uuid in uuids:
            if self.options.progress is not None and os.getpid() == self.process:
                self.options.progress(self.handled.done, self.handled.total)
            results.append(self._tended(self._one(uuid)))
            self.handled.add(uuid)
        self.applier.sync()
        return results

    def _again(self, uuids: Sequence[str]) -> list[DomainResult]:
        """A process was killed in these domains: whatever it touched is synced, and done again."""
        for uuid in uuids:
            self.applier.open_dirs.doubt(self.scan.names_of.get(uuid, ()), uuid)
        self.scan = self._scan()
        return self._part(uuids)

    def _chosen(self) -> tuple[list[str], list[Problem]]:
        if self.options.domains is None:
            return self.scan.uuids(), []
        return uuids_of(self.scan, self.options.domains)

    def _problems(self) -> tuple[Problem, ...]:
        """Of the scan; with domains named, only those that no name explains."""
        if self.options.domains is None:
            return tuple(self.scan.problems)
        return tuple(p for p in self.scan.problems if p.name is None)

    def _tended(self, result: DomainResult) -> DomainResult:
        """See to the keepsakes of a domain that was handled."""
        if self._keeper is None or self.options.dry_run or result.error is not None:
            return result
        try:
            if result.name is None:
                return result  # those of a domain that is gone are seen to at the end
            if self.action == "revert":
                self._keeper.drop(result.uuid)
            else:
                self._keeper.refresh(result.uuid, result.name)
        except UuidfsError as error:
            return result._replace(error=str(error), failed=True)
        return result

    def _retire(self, uuids: Sequence[str]) -> list[Problem]:
        """Those of domains that are gone, as two scans agree."""
        if self._keeper is None or self.options.dry_run:
            return []
        problems = []
        try:
            gone = [uuid for uuid in self._keeper.uuids() if self._is_gone(uuid, uuids)]
            for uuid in gone:
                self._keeper.retire(uuid)
        except UuidfsError as error:
            problems.append(Problem(error.path, error.reason))
        return problems

    def _is_gone(self, uuid: str, chosen: Sequence[str]) -> bool:
        if self.options.domains is not None and uuid not in chosen:
            return False
        if uuid in self.scan.names_of or self.scan.incomplete:
            return False
        again = self._scan_again()
        return uuid not in again.names_of and not again.incomplete

    def _one(self, uuid: str) -> DomainResult:
        names = self.scan.names_of.get(uuid, [])
        name = names[0] if len(names) == 1 else None
        if self.action == "convert" and is_up_to_date(self.dirs, self.scan, uuid):
            return DomainResult(name, uuid)
        done: list[Step] = []
        try:
            if self.options.dry_run or not names:
                plan = self._look(uuid)
                if self._asks(uuid):
                    plan = self._look(uuid)
                if self.options.dry_run or not plan.steps:
                    return self._result(name, plan, plan.steps)
            plan = self._attempt(uuid, done)
            # Without the lock: libvirt may be waiting for the hook, which waits for the lock.
            if self._asks(uuid):
                plan = self._attempt(uuid, done)
            return self._result(name, plan, done)
        except Busy as error:
            return DomainResult(name, uuid, error=str(error), busy=True)
        except UuidfsError as error:
            return self._result(name, Plan(uuid, name), done, str(error))._replace(failed=True)
        finally:
            self.applier.close_domain()

    def _look(self, uuid: str) -> Plan:
        """Plan without the lock: for a dry run, and to see whether there is anything to do."""
        return again(partial(self._plan, uuid), self._look_again)

    def _attempt(self, uuid: str, done: list[Step]) -> Plan:
        with self.locks.hold(uuid):
            return attempt(self.applier, partial(self._plan, uuid), done, self._look_again)

    def _asks(self, uuid: str) -> bool:
        """Ask libvirt what a plan waits for, if it does; tells so. Raises UuidfsError."""
        asked = False
        if uuid in self._misfiled and self.options.checkpoints is not None:
            self._known[uuid] = self.options.checkpoints(self.layout, uuid)
            self._misfiled.discard(uuid)
            asked = True
        if uuid in self._marked and self.options.starts_once is not None:
            self._starts[uuid] = self.options.starts_once(self.layout, uuid)
            self._marked.discard(uuid)
            asked = True
        return asked

    def _look_again(self) -> None:
        """Rotated or renamed: there are new names as well."""
        self.scan = self._scan()
        self._second = None

    def _plan(self, uuid: str) -> Plan:
        plan = self._plan_from(self.scan, uuid)
        if not _trashed(plan):
            return plan
        # A listing that runs while libvirt renames a domain, or virtlogd rotates a log, can
        # miss both the old and the new name: nothing is unreferenced before a second scan
        # has found the same. With the lock held it is one that saw all that happened before:
        # the hook may have converted a new domain of this UUID while the lock was waited for.
        again = self._plan_from(self._scan_again(), uuid)
        if not _trashed(again) <= _trashed(plan):
            self._second = None
            raise Changed(next(iter(plan.steps)).path(self.layout))
        return again

    def _plan_from(self, scan: Scan, uuid: str) -> Plan:
        view = self.surveyor.view(scan, uuid)
        once = view.once
        if once is not None and once.at_name is not None and not once.at_name.same_inode(once.note):
            # A rename can have left it to another domain before anybody noted whose it is.
            if self.options.starts_once is not None and uuid not in self._starts:
                self._marked.add(uuid)
                view = view._replace(once=None)
            else:
                unknown = self._starts.get(uuid) is False
                view = view._replace(once=once._replace(unknown=unknown))
        if self.action == "revert":
            return plan_revert(self.layout, view)
        is_told = self.options.checkpoints is None or uuid in self._known
        if view.misfiled and not is_told:
            self._misfiled.add(uuid)
        known = self._known.get(uuid)
        return plan_convert(self.layout, view, scan.names_of, refile=is_told, known=known)

    def _result(
        self, name: str | None, plan: Plan, steps: Iterable[Step], error: str | None = None
    ) -> DomainResult:
        texts = [f"{p.path}: {p.reason}" for p in plan.problems]
        if error is not None:
            texts.append(error)
        return DomainResult(name, plan.uuid, tuple(steps), "; ".join(texts) or None)


def _trashed(plan: Plan) -> set[tuple[object, ...]]:
    """What a plan takes away because no name refers to it, or no domain has the name."""
    ops = {Op.TRASH, Op.DROP_ONCE}
    return {(s.kind, s.store_entry, s.entry, s.waiting) for s in plan.steps if s.op in ops}
