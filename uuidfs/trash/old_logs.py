"""Logs of domains that are gone: to the trash once they are old."""

import time
from collections.abc import Container, Iterable
from contextlib import ExitStack
from functools import partial

from uuidfs.apply.applier import Applier
from uuidfs.convert.attempt import attempt
from uuidfs.convert.results import DomainResult, Options, RunResult
from uuidfs.errors import Busy, SystemCallFailed, UuidfsError
from uuidfs.files import change
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import log_entry
from uuidfs.layout.places import Kind, Layout
from uuidfs.layout.trash_label import Reason
from uuidfs.plan.steps import Op, Plan, Step
from uuidfs.runtime.domain_locks import Locks
from uuidfs.survey.scan import Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor
from uuidfs.survey.view import View

_BATCH = 64  # logs of domains that one scan is made for, under all their locks


def old_logs(dirs: TrustedDirs, older_than: float | None, options: Options) -> set[str]:
    """The UUIDs without a name whose logs were written last so many seconds ago, or earlier."""
    if older_than is None:
        return set()
    scan = scan_all(Surveyor(dirs, options.reader).documents)
    if scan.incomplete:
        return set()
    limit = time.time() - older_than
    return {uuid for uuid in _unnamed(scan) if _is_old(dirs, uuid, scan.log_store[uuid], limit)}


def retire_logs(
    layout: Layout,
    older_than: float | None,
    options: Options,
    *,
    now: float | None = None,
    only: Container[str] | None = None,
) -> RunResult:
    """Trash the logs of UUIDs without a name, written last more than ``older_than`` seconds ago.

    With ``only`` no others than these.

    All files of a UUID go together, or none; first their links. None stands for "for ever".
    Of ``options`` only the reader is used: a domain whose lock is not free is skipped, and
    counts as busy. What fails is reported, and is as a kill would have left it.

    Raises UuidfsError only when nothing could be looked at.
    """
    now = time.time() if now is None else now
    with TrustedDirs(layout) as dirs:
        surveyor = Surveyor(dirs, options.reader)
        scan = scan_all(surveyor.documents)
        results: list[DomainResult] = []
        if older_than is not None and not scan.incomplete:
            limit = now - older_than
            old = [
                uuid
                for uuid in sorted(_unnamed(scan))
                if (only is None or uuid in only)
                and _is_old(dirs, uuid, scan.log_store[uuid], limit)
            ]
            with Applier(dirs, "reconciler") as applier:
                run = _Retirement(surveyor, applier, limit)
                for start in range(0, len(old), _BATCH):
                    results += run.batch(old[start : start + _BATCH])
        return RunResult("retire", layout, tuple(results))


def _unnamed(scan: Scan) -> set[str]:
    return set(scan.log_store).difference(scan.names_of, scan.moved)


def _is_old(dirs: TrustedDirs, uuid: str, suffixes: Iterable[str], limit: float) -> bool:
    store = dirs.store(Kind.LOG)
    if store is None:
        return False
    for suffix in suffixes:
        try:
            found = store.stat(log_entry(uuid, suffix))
        except SystemCallFailed:
            return False
        if found is None or found.st_mtime >= limit:
            return False  # where it is gone, it was rotated or removed in this moment: in use
    return True


class _Retirement:
    def __init__(self, surveyor: Surveyor, applier: Applier, limit: float) -> None:
        self.surveyor = surveyor
        self.applier = applier
        self.limit = limit

    def batch(self, uuids: list[str]) -> list[DomainResult]:
        """Retire some logs that a first scan found unnamed, if a second one agrees.

        The second scan runs under the locks: a domain that was defined or renamed while the
        first one listed the configs is seen, and none is started by the hook meanwhile. The
        locks are not waited for, so holding several cannot block anybody for good.
        """
        results = []
        locks = Locks(self.surveyor.layout, 0.0)
        with ExitStack() as held:
            mine = []
            for uuid in uuids:
                try:
                    held.enter_context(locks.hold(uuid))
                    mine.append(uuid)
                except Busy as error:
                    results.append(DomainResult(None, uuid, error=str(error), busy=True))
            scan = scan_all(self.surveyor.documents)
            change.trace("retire: scanned twice")
            if not scan.incomplete:
                results += [self._one(scan, u) for u in mine if u in _unnamed(scan)]
        return results

    def _plan(self, scan: Scan, uuid: str) -> Plan:
        view = self.surveyor.view(scan, uuid)
        is_old = _is_old(self.surveyor.dirs, uuid, scan.log_store[uuid], self.limit)
        return Plan(uuid, None, tuple(_steps(view)) if is_old else ())

    def _one(self, scan: Scan, uuid: str) -> DomainResult:
        done: list[Step] = []
        try:
            attempt(self.applier, partial(self._plan, scan, uuid), done, tries=1)
        except UuidfsError as error:
            return DomainResult(None, uuid, tuple(done), str(error))
        finally:
            self.applier.close_domain()
        return DomainResult(None, uuid, tuple(done))


def _steps(view: View) -> list[Step]:
    """Links first: files without a link are found again by the next run, links without a file
    would be nobody's."""
    uuid = view.uuid
    links = [
        Step(Op.DROP_LINK, Kind.LOG, uuid, "", log.entry, log_entry(uuid, log.suffix), log.at_name)
        for log in view.away
    ]
    files = [
        Step(
            Op.TRASH,
            Kind.LOG,
            uuid,
            store_entry=log_entry(uuid, suffix),
            expect=found,
            reason=Reason.RETENTION,
        )
        for suffix, found in view.log_store
        if found.is_file
    ]
    return links + files
