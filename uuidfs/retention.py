"""What goes after its time: entries of the trash, and the logs of domains that are gone."""

import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from typing import NamedTuple

from uuidfs import fs
from uuidfs.apply import Applier
from uuidfs.dirs import Dirs
from uuidfs.errors import EXIT_FAILED, EXIT_OK, Busy, Changed, SystemCallFailed, UuidfsError
from uuidfs.layout import Kind, Layout
from uuidfs.locks import Locks
from uuidfs.operate import DomainResult, Options, RunResult
from uuidfs.scan import Problem, Scan, scan_all
from uuidfs.steps import Op, Step
from uuidfs.survey import Surveyor
from uuidfs.trash import (
    TrashEntry,
    drop_label,
    labels,
    opened_label,
    path_of,
    pick,
    place_of,
    survey,
)
from uuidfs.view import View

_BATCH = 64  # logs of domains that one scan is made for, under all their locks


class EmptyResult(NamedTuple):
    """What was removed, or would be in a dry run, and what is left alone and why."""

    removed: tuple[TrashEntry, ...]
    problems: tuple[Problem, ...] = ()
    dry_run: bool = False

    @property
    def exit_code(self) -> int:
        """1 when something was left alone, else 0."""
        return EXIT_FAILED if self.problems else EXIT_OK


def empty(
    layout: Layout,
    older_than: float | None,
    ids: Iterable[str] | None = None,
    *,
    dry_run: bool = False,
    now: float | None = None,
) -> EmptyResult:
    """Remove entries that were trashed more than ``older_than`` seconds ago; None removes none.

    With ``ids`` exactly those go, whatever their age. Only regular files and symlinks go, from
    directories that nobody else can write to; the rest stays and is reported, and so is what
    cannot be removed, while the others go. ``now`` is in seconds since the epoch. It takes no
    lock: restore has linked a file elsewhere before its name here goes.

    Raises NoSuchEntry, Refused and SystemCallFailed before anything was removed.
    """
    now = time.time() if now is None else now
    with Dirs(layout) as dirs:
        found, strangers = survey(dirs)
        if ids is not None:
            going = {entry.id: entry for entry in (pick(found, wanted) for wanted in ids)}
            return _empty(dirs, list(going.values()), (), dry_run=dry_run)
        if older_than is None:
            return EmptyResult((), strangers, dry_run)

        def is_old(when: datetime) -> bool:
            return now - when.timestamp() > older_than

        result = _empty(dirs, [e for e in found if is_old(e.when)], strangers, dry_run=dry_run)
        if not dry_run:
            for kind, label, when in labels(dirs, []):
                if is_old(when):
                    _drop(dirs, kind, label)  # a kill left it empty
        return result


def _empty(
    dirs: Dirs, going: list[TrashEntry], strangers: tuple[Problem, ...], *, dry_run: bool
) -> EmptyResult:
    if dry_run:
        return EmptyResult(tuple(going), strangers, dry_run)
    done: list[TrashEntry] = []
    problems = list(strangers)
    for entry in going:
        path = path_of(dirs.layout, entry)
        try:
            with opened_label(dirs, entry.kind, entry.label) as fd:
                found = fs.look(fd, entry.file) if fd is not None else None
                if fd is None or found is None:
                    continue  # somebody else emptied or restored it
                if not found.is_file and found.text is None:
                    raise Changed(path)
                fs.unlink(fd, entry.file)
            done.append(entry)
            _drop(dirs, entry.kind, entry.label)
        except OSError as error:
            problems.append(Problem(path, str(SystemCallFailed("remove", path, error))))
        except UuidfsError as error:
            problems.append(Problem(path, getattr(error, "reason", str(error))))
    return EmptyResult(tuple(done), tuple(problems))


def _drop(dirs: Dirs, kind: Kind, label: str) -> None:
    try:
        drop_label(dirs, kind, label)
    except OSError as error:
        raise SystemCallFailed("remove", place_of(dirs.layout, kind, label).path, error) from error


def retire_logs(
    layout: Layout, older_than: float | None, options: Options, *, now: float | None = None
) -> RunResult:
    """Trash the logs of UUIDs without a name, written last more than ``older_than`` seconds ago.

    All files of a UUID go together, or none; first their links. None stands for "for ever".
    Of ``options`` only the reader is used: a domain whose lock is not free is skipped, and
    counts as busy. What fails is reported, and is as a kill would have left it.

    Raises UuidfsError only when nothing could be looked at.
    """
    now = time.time() if now is None else now
    with Dirs(layout) as dirs:
        surveyor = Surveyor(dirs, options.reader)
        scan = scan_all(surveyor.documents)
        results: list[DomainResult] = []
        if older_than is not None and not scan.blind:
            limit = now - older_than
            old = [u for u in sorted(_unnamed(scan)) if _is_old(dirs, u, scan.log_store[u], limit)]
            with Applier(dirs, "reconciler") as applier:
                run = _Retirement(surveyor, applier, limit)
                for start in range(0, len(old), _BATCH):
                    results += run.batch(old[start : start + _BATCH])
        return RunResult("retire", layout, tuple(results))


def _unnamed(scan: Scan) -> set[str]:
    return set(scan.log_store).difference(scan.names_of, scan.moved)


def _is_old(dirs: Dirs, uuid: str, suffixes: Iterable[str], limit: float) -> bool:
    store = dirs.store(Kind.LOG)
    if store is None:
        return False
    for suffix in suffixes:
        try:
            found = os.stat(f"{uuid}.log{suffix}", dir_fd=store, follow_symlinks=False)
        except OSError:
            return False  # rotated or removed in this moment: not out of use
        if found.st_mtime >= limit:
            return False
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
            fs.trace("retire: scanned twice")
            if not scan.blind:
                results += [self._one(scan, u) for u in mine if u in _unnamed(scan)]
        return results

    def _one(self, scan: Scan, uuid: str) -> DomainResult:
        done: list[Step] = []
        try:
            view = self.surveyor.view(scan, uuid)
            if _is_old(self.surveyor.dirs, uuid, scan.log_store[uuid], self.limit):
                for step in _steps(view):
                    self.applier.run(step)
                    done.append(step)
                    fs.trace("retire: step")
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
        Step(Op.DROP_LINK, Kind.LOG, uuid, "", log.entry, f"{uuid}.log{log.suffix}", log.at_name)
        for log in view.away
    ]
    files = [
        Step(
            Op.TRASH,
            Kind.LOG,
            uuid,
            store_entry=f"{uuid}.log{suffix}",
            expect=found,
            other="retention",
        )
        for suffix, found in view.log_store
        if found.is_file
    ]
    return links + files
