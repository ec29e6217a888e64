"""The reconciler: looks where events point, and everywhere from time to time.

Level-based: what an event says is forgotten at once, and the tree is looked at. A single changed
is outcome within milliseconds (:mod:`uuidfs.changes`); everything that concerns several names
waits for a full pass, the same ``convert --all`` that people run. Losing events, being killed
or being stopped for a week costs time only.
"""

import os
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from uuidfs.convert.half_rename import finish_rename
from uuidfs.convert.results import Options, RunResult
from uuidfs.convert.run import convert
from uuidfs.errors import EXIT_OK, UuidfsError
from uuidfs.host.libvirtd import name_of
from uuidfs.layout.places import Kind, Layout
from uuidfs.reconcile import fast_path
from uuidfs.reconcile.fast_path import Names, Outcome, Verdict
from uuidfs.reconcile.full_pass import RENAME_PATIENCE, RETENTION
from uuidfs.reconcile.metrics import Figures
from uuidfs.reconcile.queue import ChangeQueue
from uuidfs.reconcile.schedule import Schedule
from uuidfs.reconcile.watcher import Watcher
from uuidfs.runtime import reconciler_state, sessions
from uuidfs.runtime.reconciler_state import ReconcilerState
from uuidfs.survey.identity import Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.trash import empty, entries
from uuidfs.trash.old_logs import retire_logs

TEND = 2.0  # seconds between looks whether the watched directories are still the same

RECOVER = 10.0  # seconds that a recovery gets before the next attempt, doubled each time

RECOVER_AT_MOST = 600.0

BATCH = 64  # changes that are outcome between two looks at the clock and one fsync a directory


class Settings(NamedTuple):
    """All times in seconds. ``debounce`` is how long a full pass waits for more events; the
    retentions are None for ever (:mod:`uuidfs.config`)."""

    debounce: float = 0.2
    resync: float = 600.0
    poll: float = 10.0
    kinds: frozenset[Kind] = frozenset(Kind)
    trash_retention: float | None = None
    log_retention: float | None = None
    reader: Reader = read_lxml


class Listener(NamedTuple):
    """Whom the reconciler tells of what: the library itself never prints."""

    info: Callable[[str, Mapping[str, object]], None]
    warning: Callable[[str, Mapping[str, object]], None]
    heartbeat: Callable[[ReconcilerState], None]
    """Called every two seconds, and after each pass; also within long ones."""
    figures: Callable[[Figures], None] | None = None
    """Called after each pass."""
    recover: Callable[[], None] | None = None
    """Called when a local migration has lost its owner; must not wait for the recovery."""


class _Stopped(Exception):
    pass


class Reconciler:
    """One layout's reconciler; ``run`` in the main thread of a process of its own."""

    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        listener: Listener,
        reload: Callable[[], Settings] | None = None,
    ) -> None:
        self.layout = layout
        self.settings = settings
        self.listener = listener
        self._reload = reload
        self._names = Names()
        self._changes = ChangeQueue()
        self._schedule = Schedule(settings.debounce, settings.resync)
        self._watcher = Watcher(layout, self._changes)
        self._recover_at = 0.0
        self._recover_wait = RECOVER
        self._rivals: dict[str, float] = {}  # UUID -> when a second name was first seen
        self._state = ReconcilerState(os.getpid(), time.time())
        self._oldest: float | None = None  # when the first of the changes that wait came
        self._stop = False
        self._again = False
        self._beaten = 0.0
        self._folds: Counter[str] = Counter()  # by UUID
        self._errors: Counter[str] = Counter()
        self._emptied = 0.0  # when what is past its retention was last looked for

    def run(self) -> None:
        """Reconcile until SIGTERM or SIGINT. Raises UuidfsError when it cannot even begin."""
        lock = reconciler_state.claim(self.layout)
        try:
            with self._signals():
                self._watcher.start()
                self._schedule.resync(time.monotonic())
                self._loop()
        except _Stopped:
            pass
        finally:
            self._watcher.stop()
            self._changes.close()
            os.close(lock)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: object) -> None:
            self._stop = True

        def again(_number: int, _frame: object) -> None:
            self._again = True

        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: again}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        wakeup = signal.set_wakeup_fd(self._changes.wake_fd(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _loop(self) -> None:
        tended = 0.0
        while not self._stop:
            self._drain()
            now = time.monotonic()
            if self._again:
                self._again = False
                self._reread()
            if now - tended >= TEND:
                tended = now
                self._watcher.tend()
                self._finish_renames(now)
                self._look_for_orphans(now)
                if self._watcher.polling is not None:
                    self._schedule.at_most(now, self.settings.poll)
            if self._schedule.due(now):
                self._pass()
            self._heartbeat()
            wait = max(0.0, min(self._schedule.wait(time.monotonic()), TEND))
            select.select([self._changes], [], [], wait)

    def _reread(self) -> None:
        if self._reload is not None:
            try:
                self.settings = self._reload()
            except UuidfsError as error:
                self.listener.warning(str(error), {"action": "reload"})
            else:
                self._schedule = Schedule(self.settings.debounce, self.settings.resync)
        self._schedule.resync(time.monotonic())

    def _drain(self) -> None:
        """Settle what events named; what that cannot tell is put on the agenda."""
        found, everything = self._changes.take()
        now = time.monotonic()
        if everything:
            self._schedule.resync(now)
        if found:
            self._oldest = self._oldest or now
        for start in range(0, len(found), BATCH):
            part = [
                changed
                for changed in found[start : start + BATCH]
                if changed.kind is None or changed.kind in self.settings.kinds
            ]
            self._state = self._state._replace(pending=len(found) - start)
            for outcome in fast_path.fold_changed(
                self.layout, self._names, part, self.settings.reader
            ):
                self._note(outcome)
            if self._stop:
                raise _Stopped
            self._heartbeat()
        self._oldest = None
        self._state = self._state._replace(pending=0)

    def _note(self, outcome: Outcome) -> None:
        fields = {"name": outcome.changed.name, "uuid": outcome.uuid or "", "action": "fold"}
        now = time.monotonic()
        if outcome.verdict is Verdict.FOLDED:
            self.listener.info(f"{outcome.files} files", fields)
            self._count(folds=outcome.files)
            self._folds[outcome.uuid or ""] += outcome.files
        elif outcome.verdict is Verdict.NEEDS_FULL_PASS:
            self._schedule.soon(now)
        elif outcome.verdict is Verdict.BUSY:
            self._schedule.retry(now)
        elif outcome.verdict is Verdict.FAILED:
            self.listener.warning(outcome.reason, fields)
            self._count(errors=1)
            self._schedule.retry(now)

    def _count(self, folds: int = 0, errors: int = 0) -> None:
        self._state = self._state._replace(
            folds=self._state.folds + folds, errors=self._state.errors + errors
        )

    def _pass(self) -> None:
        began = time.monotonic()
        self._schedule.begin()
        try:
            result = convert(
                self.layout,
                Options(
                    lock_timeout=0.0,
                    reader=self.settings.reader,
                    progress=self._between,
                    kinds=self.settings.kinds,
                    by="reconciler",
                ),
            )
        except UuidfsError as error:
            self.listener.warning(str(error), {"action": "pass"})
            self._count(errors=1)
            self._schedule.passed(time.monotonic(), time.monotonic() - began, clean=False)
            return
        self._names.replace(result.names.items())
        self._tell(result)
        if began - self._emptied >= RETENTION or not self._emptied:
            self._emptied = began
            self._retire()
        took = time.monotonic() - began
        self._schedule.passed(time.monotonic(), took, clean=result.exit_code == EXIT_OK)
        self._state = self._state._replace(
            passed=time.time(),
            took=took,
            domains=len(self._names),
            watches=self._watcher.count(),
            polling=self._watcher.polling or "",
        )
        self._heartbeat(now=True)
        self._report(result)

    def _report(self, result: RunResult) -> None:
        if self.listener.figures is None:
            return
        states = {
            domain.uuid: "busy" if domain.busy else "error" if domain.error else "converted"
            for domain in result.domains
            if domain.name is not None
        }
        try:
            sizes: dict[Kind, tuple[int, int]] = dict.fromkeys(Kind, (0, 0))
            for entry in entries.entries(self.layout):
                files, size = sizes[entry.kind]
                sizes[entry.kind] = files + 1, size + entry.size
            self.listener.figures(
                Figures(self._state, result.names, states, self._folds, self._errors, sizes)
            )
        except UuidfsError as error:
            self.listener.warning(str(error), {"action": "metrics"})

    def _retire(self) -> None:
        """Remove what is past its retention."""
        try:
            for entry in empty.empty(self.layout, self.settings.trash_retention).removed:
                self.listener.info(
                    entry.reason, {"uuid": entry.uuid, "file": entry.file, "action": "empty-trash"}
                )
            if self.settings.log_retention is not None:
                self._tell(
                    retire_logs(
                        self.layout,
                        self.settings.log_retention,
                        Options(reader=self.settings.reader),
                    )
                )
        except UuidfsError as error:
            self.listener.warning(str(error), {"action": "empty-trash"})
            self._count(errors=1)

    def _between(self, _done: int, _total: int) -> None:
        """Between two domains of a pass: what is urgent does not wait for its end."""
        if self._stop:
            raise _Stopped
        if len(self._changes):
            self._drain()
        self._heartbeat()

    def _tell(self, result: RunResult) -> None:
        for problem in result.problems:
            self.listener.warning(problem.reason, {"path": problem.path, "action": "look"})
        for domain in result.domains:
            fields = {"name": domain.name or "", "uuid": domain.uuid, "action": result.action}
            if domain.files:
                self.listener.info(f"{domain.files} files", fields)
                self._count(folds=domain.files)
                self._folds[domain.uuid] += domain.files
            if domain.error is not None and not domain.busy:
                self.listener.warning(domain.error, fields)
                self._count(errors=1)
                self._errors[domain.uuid] += 1

    def _finish_renames(self, now: float) -> None:
        """Finish renames that were cut in half: two names of one UUID, for some seconds."""
        there = self._names.rivals()
        self._rivals = {uuid: self._rivals.get(uuid, now) for uuid in there}
        for uuid, since in self._rivals.items():
            if now - since < RENAME_PATIENCE:
                continue
            fields: dict[str, object] = {"uuid": uuid, "action": "finish-rename"}
            try:
                done = finish_rename(
                    self.layout, uuid, name_of, Options(lock_timeout=0.0, by="reconciler")
                )
            except UuidfsError as error:
                self.listener.warning(str(error), fields)
                self._rivals[uuid] = now  # again after as long
            else:
                if done is not None:
                    self.listener.info(f"name is {done.winner!r}", {**fields, "name": done.winner})
                self._schedule.resync(now)

    def _look_for_orphans(self, now: float) -> None:
        """Have local migrations finished whose owner died: again and again, less and less often."""
        if self.listener.recover is None or now < self._recover_at:
            return
        try:
            orphans = sessions.orphans(self.layout)
        except UuidfsError as error:
            self.listener.warning(str(error), {"action": "recover"})
            return
        if not orphans:
            self._recover_wait = RECOVER
            return
        self._recover_at = now + self._recover_wait
        self._recover_wait = min(2 * self._recover_wait, RECOVER_AT_MOST)
        for uuid in orphans:
            self.listener.info(
                "a local migration has lost its owner", {"uuid": uuid, "action": "recover"}
            )
        self.listener.recover()
        self._schedule.soon(now)

    def _heartbeat(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if not now and moment - self._beaten < TEND:
            return
        self._beaten = moment
        behind = moment - self._oldest if self._oldest is not None else 0.0
        self._state = self._state._replace(behind=behind)
        self.listener.heartbeat(self._state)
