"""The reconciler: looks where events point, and everywhere from time to time.

Level-based: what an event says is forgotten at once, and the tree is looked at. A single spot
is settled within milliseconds (:mod:`uuidfs.spots`); everything that concerns several names
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

from uuidfs.convert.half_rename import settle as settle_rivals
from uuidfs.convert.results import Options, RunResult
from uuidfs.convert.run import convert
from uuidfs.errors import EXIT_OK, UuidfsError
from uuidfs.host.libvirtd import name_of
from uuidfs.layout.places import Kind, Layout
from uuidfs.reconcile import fast_path
from uuidfs.reconcile.fast_path import Names, Settled, Verdict
from uuidfs.reconcile.full_pass import RETENTION, RIVAL_PATIENCE
from uuidfs.reconcile.metrics import Figures
from uuidfs.reconcile.queue import Dirty
from uuidfs.reconcile.schedule import Agenda
from uuidfs.reconcile.watcher import Watcher
from uuidfs.runtime import reconciler_state, sessions
from uuidfs.runtime.reconciler_state import Standing
from uuidfs.survey.identity import Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.trash import empty, entries
from uuidfs.trash.old_logs import retire_logs

TEND = 2.0  # seconds between looks whether the watched directories are still the same

RECOVER = 10.0  # seconds that a recovery gets before the next attempt, doubled each time

RECOVER_AT_MOST = 600.0

BATCH = 64  # spots that are settled between two looks at the clock and one fsync a directory


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


class Voice(NamedTuple):
    """Whom the reconciler tells of what: the library itself never prints."""

    info: Callable[[str, Mapping[str, object]], None]
    warning: Callable[[str, Mapping[str, object]], None]
    beat: Callable[[Standing], None]
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
        voice: Voice,
        reload: Callable[[], Settings] | None = None,
    ) -> None:
        self.layout = layout
        self.settings = settings
        self.voice = voice
        self._reload = reload
        self._names = Names()
        self._dirty = Dirty()
        self._agenda = Agenda(settings.debounce, settings.resync)
        self._watcher = Watcher(layout, self._dirty)
        self._recover_at = 0.0
        self._recover_wait = RECOVER
        self._rivals: dict[str, float] = {}  # UUID -> when a second name was first seen
        self._standing = Standing(os.getpid(), time.time())
        self._oldest: float | None = None  # when the first of the spots that wait came
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
                self._agenda.resync(time.monotonic())
                self._loop()
        except _Stopped:
            pass
        finally:
            self._watcher.stop()
            self._dirty.close()
            os.close(lock)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: object) -> None:
            self._stop = True

        def again(_number: int, _frame: object) -> None:
            self._again = True

        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: again}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        wakeup = signal.set_wakeup_fd(self._dirty.wake_fd(), warn_on_full_buffer=False)
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
                self._settle_rivals(now)
                self._look_for_orphans(now)
                if self._watcher.polling is not None:
                    self._agenda.at_most(now, self.settings.poll)
            if self._agenda.due(now):
                self._pass()
            self._beat()
            wait = max(0.0, min(self._agenda.wait(time.monotonic()), TEND))
            select.select([self._dirty], [], [], wait)

    def _reread(self) -> None:
        if self._reload is not None:
            try:
                self.settings = self._reload()
            except UuidfsError as error:
                self.voice.warning(str(error), {"action": "reload"})
            else:
                self._agenda = Agenda(self.settings.debounce, self.settings.resync)
        self._agenda.resync(time.monotonic())

    def _drain(self) -> None:
        """Settle what events named; what that cannot tell is put on the agenda."""
        found, everything = self._dirty.take()
        now = time.monotonic()
        if everything:
            self._agenda.resync(now)
        if found:
            self._oldest = self._oldest or now
        for start in range(0, len(found), BATCH):
            part = [
                spot
                for spot in found[start : start + BATCH]
                if spot.kind is None or spot.kind in self.settings.kinds
            ]
            self._standing = self._standing._replace(pending=len(found) - start)
            for settled in fast_path.settle(self.layout, self._names, part, self.settings.reader):
                self._note(settled)
            if self._stop:
                raise _Stopped
            self._beat()
        self._oldest = None
        self._standing = self._standing._replace(pending=0)

    def _note(self, settled: Settled) -> None:
        fields = {"name": settled.spot.name, "uuid": settled.uuid or "", "action": "fold"}
        now = time.monotonic()
        if settled.verdict is Verdict.FOLDED:
            self.voice.info(f"{settled.files} files", fields)
            self._count(folds=settled.files)
            self._folds[settled.uuid or ""] += settled.files
        elif settled.verdict is Verdict.WIDER:
            self._agenda.soon(now)
        elif settled.verdict is Verdict.BUSY:
            self._agenda.retry(now)
        elif settled.verdict is Verdict.FAILED:
            self.voice.warning(settled.reason, fields)
            self._count(errors=1)
            self._agenda.retry(now)

    def _count(self, folds: int = 0, errors: int = 0) -> None:
        self._standing = self._standing._replace(
            folds=self._standing.folds + folds, errors=self._standing.errors + errors
        )

    def _pass(self) -> None:
        began = time.monotonic()
        self._agenda.begin()
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
            self.voice.warning(str(error), {"action": "pass"})
            self._count(errors=1)
            self._agenda.passed(time.monotonic(), time.monotonic() - began, clean=False)
            return
        self._names.replace(result.names.items())
        self._tell(result)
        if began - self._emptied >= RETENTION or not self._emptied:
            self._emptied = began
            self._retire()
        took = time.monotonic() - began
        self._agenda.passed(time.monotonic(), took, clean=result.exit_code == EXIT_OK)
        self._standing = self._standing._replace(
            passed=time.time(),
            took=took,
            domains=len(self._names),
            watches=self._watcher.count(),
            polling=self._watcher.polling or "",
        )
        self._beat(now=True)
        self._report(result)

    def _report(self, result: RunResult) -> None:
        if self.voice.figures is None:
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
            self.voice.figures(
                Figures(self._standing, result.names, states, self._folds, self._errors, sizes)
            )
        except UuidfsError as error:
            self.voice.warning(str(error), {"action": "metrics"})

    def _retire(self) -> None:
        """Remove what is past its retention."""
        try:
            for entry in empty.empty(self.layout, self.settings.trash_retention).removed:
                self.voice.info(
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
            self.voice.warning(str(error), {"action": "empty-trash"})
            self._count(errors=1)

    def _between(self, _done: int, _total: int) -> None:
        """Between two domains of a pass: what is urgent does not wait for its end."""
        if self._stop:
            raise _Stopped
        if len(self._dirty):
            self._drain()
        self._beat()

    def _tell(self, result: RunResult) -> None:
        for problem in result.problems:
            self.voice.warning(problem.reason, {"path": problem.path, "action": "look"})
        for domain in result.domains:
            fields = {"name": domain.name or "", "uuid": domain.uuid, "action": result.action}
            if domain.files:
                self.voice.info(f"{domain.files} files", fields)
                self._count(folds=domain.files)
                self._folds[domain.uuid] += domain.files
            if domain.error is not None and not domain.busy:
                self.voice.warning(domain.error, fields)
                self._count(errors=1)
                self._errors[domain.uuid] += 1

    def _settle_rivals(self, now: float) -> None:
        """Finish renames that were cut in half: two names of one UUID, for some seconds."""
        there = self._names.rivals()
        self._rivals = {uuid: self._rivals.get(uuid, now) for uuid in there}
        for uuid, since in self._rivals.items():
            if now - since < RIVAL_PATIENCE:
                continue
            fields: dict[str, object] = {"uuid": uuid, "action": "finish-rename"}
            try:
                done = settle_rivals(
                    self.layout, uuid, name_of, Options(lock_timeout=0.0, by="reconciler")
                )
            except UuidfsError as error:
                self.voice.warning(str(error), fields)
                self._rivals[uuid] = now  # again after as long
            else:
                if done is not None:
                    self.voice.info(f"name is {done.winner!r}", {**fields, "name": done.winner})
                self._agenda.resync(now)

    def _look_for_orphans(self, now: float) -> None:
        """Have local migrations finished whose owner died: again and again, less and less often."""
        if self.voice.recover is None or now < self._recover_at:
            return
        try:
            orphans = sessions.orphans(self.layout)
        except UuidfsError as error:
            self.voice.warning(str(error), {"action": "recover"})
            return
        if not orphans:
            self._recover_wait = RECOVER
            return
        self._recover_at = now + self._recover_wait
        self._recover_wait = min(2 * self._recover_wait, RECOVER_AT_MOST)
        for uuid in orphans:
            self.voice.info(
                "a local migration has lost its owner", {"uuid": uuid, "action": "recover"}
            )
        self.voice.recover()
        self._agenda.soon(now)

    def _beat(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if not now and moment - self._beaten < TEND:
            return
        self._beaten = moment
        behind = moment - self._oldest if self._oldest is not None else 0.0
        self._standing = self._standing._replace(behind=behind)
        self.voice.beat(self._standing)
