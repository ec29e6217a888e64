"""The reconciler: looks where events point, and everywhere from time to time.

Level-based: what an event says is forgotten at once, and the tree is looked at. A single name is
handled within milliseconds (:mod:`uuidfs.reconcile.fast_path`); everything that concerns several
names waits for a full pass (:mod:`uuidfs.reconcile.full_pass`). Losing events, being killed or
being stopped for a week costs time only.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from uuidfs.convert.results import RunResult
from uuidfs.errors import EXIT_OK, Refused, UuidfsError
from uuidfs.layout.places import Layout
from uuidfs.reconcile.chores import HalfRenames, Orphans, read_only
from uuidfs.reconcile.fast_path import Outcome, Verdict, fold_changed
from uuidfs.reconcile.firmware import FirmwareLooks
from uuidfs.reconcile.full_pass import FullPass
from uuidfs.reconcile.interface import Listener, ReconcilerOptions
from uuidfs.reconcile.names import Names
from uuidfs.reconcile.queue import ChangeQueue
from uuidfs.reconcile.schedule import Schedule
from uuidfs.reconcile.tally import Tally
from uuidfs.reconcile.watcher import Watcher
from uuidfs.runtime import reconciler_state
from uuidfs.runtime.reconciler_state import ReconcilerState

TEND = 2.0  # seconds between looks whether the watched directories are still the same
BATCH = 64  # names that are handled between two looks at the clock and one fsync a directory


class _Stopped(Exception):
    pass


class Reconciler:
    """One layout's reconciler; ``run`` in the main thread of a process of its own."""

    def __init__(
        self,
        layout: Layout,
        options: ReconcilerOptions,
        listener: Listener,
        reload: Callable[[], ReconcilerOptions] | None = None,
    ) -> None:
        self.layout = layout
        self.options = options
        self.listener = listener
        self._reload = reload
        self._names = Names()
        self._changes = ChangeQueue()
        self._schedule = Schedule(options.debounce, options.resync)
        self._watcher = Watcher(layout, self._changes)
        self._tally = Tally(listener)
        self._full_pass = FullPass(layout, self._tally)
        self._half_renames = HalfRenames(layout, listener)
        self._orphans = Orphans(layout, listener)
        self._firmware = FirmwareLooks(layout, listener, options.resync)
        self._state = ReconcilerState(os.getpid(), time.time())
        self._failing: set[str] = set()  # domains that could not be brought right
        self._read_only: frozenset[str] = frozenset()  # of libvirt's directories, at the start
        self._oldest: float | None = None  # when the first of the changes that wait came
        self._stop = False
        self._again = False
        self._last_heartbeat = 0.0
        self._crowded: set[str] = set()  # directories with too many others, as told
        self._no_figures = ""  # why there are none, as it was told

    def run(self) -> None:
        """Reconcile until SIGTERM or SIGINT.

        Raises UuidfsError when it cannot even begin, and later Refused when a directory became
        read-only: a new process sees what is there then.
        """
        lock = reconciler_state.claim(self.layout)
        try:
            with self._signals():
                self._read_only = read_only(self.layout)
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
                self._expect_writable()
                if self._half_renames.look(self._names.rivals(), now):
                    self._schedule.resync(now)
                if self._orphans.look(now):
                    self._schedule.soon(now)
                for crowded in set(self._watcher.crowded()) - self._crowded:
                    self._crowded.add(crowded)
                    self.listener.warning(crowded, {"action": "watch"})
                if self._watcher.polling is not None:
                    self._schedule.at_most(now, self.options.poll)
            if self._schedule.due(now):
                self._pass()
            self._firmware.look(self.options, self._urgent)
            self._heartbeat()
            now = time.monotonic()
            wait = max(0.0, min(self._schedule.wait(now), self._firmware.wait(now), TEND))
            select.select([self._changes], [], [], wait)

    def _expect_writable(self) -> None:
        """The unit may write to libvirt's directories only, each a mount of its own. When one is
        replaced, restored from a backup for example, its mount stays on the former one."""
        for path in sorted(read_only(self.layout) - self._read_only):
            raise Refused(
                path,
                "it cannot be written to any more: it was replaced, or its file system was "
                "remounted",
                "the reconciler ends, for systemd to start it anew with what is there now",
            )

    def _reread(self) -> None:
        if self._reload is not None:
            try:
                self.options = self._reload()
            except UuidfsError as error:
                self.listener.warning(str(error), {"action": "reload"})
            else:
                self._schedule = Schedule(self.options.debounce, self.options.resync)
        self._schedule.resync(time.monotonic())

    def _drain(self) -> None:
        """Handle what events named; what a single name cannot tell waits for a full pass."""
        found, everything = self._changes.take()
        now = time.monotonic()
        if everything:
            self._schedule.resync(now)
        if found:
            self._oldest = self._oldest or now
        for changed in found:
            self._firmware.note(changed, now)
        for start in range(0, len(found), BATCH):
            part = [
                changed
                for changed in found[start : start + BATCH]
                if changed.kind is None or changed.kind in self.options.kinds
            ]
            self._state = self._state._replace(pending=len(found) - start + len(self._failing))
            for outcome in fold_changed(
                self.layout, self._names, part, self.options.reader, self.options.keeper
            ):
                self._note(outcome)
            if self._stop:
                raise _Stopped
            self._heartbeat()
        self._oldest = None if not self._failing else self._oldest or now
        self._state = self._state._replace(pending=len(self._failing))

    def _note(self, outcome: Outcome) -> None:
        name, uuid = outcome.changed.name, outcome.uuid or ""
        now = time.monotonic()
        if outcome.verdict in {Verdict.FOLDED, Verdict.NOTHING_TO_DO}:
            self._failing.discard(name)
        match outcome.verdict:
            case Verdict.FOLDED:
                self._tally.done(outcome.files, name, uuid, "fold")
            case Verdict.NEEDS_FULL_PASS:
                self._schedule.soon(now)
            case Verdict.BUSY:
                self._schedule.retry(now)
            case Verdict.FAILED:
                self._failing.add(name)
                self._tally.failed(outcome.reason, name=name, uuid=uuid, action="fold")
                self._schedule.retry(now)

    def _pass(self) -> None:
        began = time.monotonic()
        self._schedule.begin()
        result = self._full_pass.run(self.options, self._between)
        took = time.monotonic() - began
        clean = result is not None and result.exit_code == EXIT_OK
        self._schedule.passed(time.monotonic(), took, clean=clean)
        if result is None:
            return
        self._names.replace(result.names.items())
        self._firmware.everything(time.monotonic())
        # A problem of the scan is that of any domain: a name that failed before may still fail.
        before = self._failing if result.problems else set[str]()
        self._failing = before | {domain.label for domain in result.domains if domain.failed}
        self._oldest = (self._oldest or began) if self._failing else None
        self._state = self._state._replace(
            pending=len(self._failing),
            passed=time.time(),
            took=took,
            domains=len(self._names),
            watches=self._watcher.count(),
            polling=self._watcher.polling or "",
        )
        self._heartbeat(now=True)
        self._tell_figures(result)

    def _tell_figures(self, result: RunResult) -> None:
        """What keeps the figures from being written is told once, and goes on without them."""
        if self.listener.figures is None:
            return
        try:
            self.listener.figures(self._full_pass.figures(result, self._state))
        except UuidfsError as error:
            if str(error) != self._no_figures:
                self._no_figures = str(error)
                self.listener.warning(self._no_figures, {"action": "metrics"})
        else:
            self._no_figures = ""

    def _between(self, _done: int, _total: int) -> None:
        self._urgent()

    def _urgent(self) -> None:
        """Between two domains of a pass: what is urgent does not wait for its end."""
        if self._stop:
            raise _Stopped
        if len(self._changes):
            self._drain()
        self._heartbeat()

    def _heartbeat(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if not now and moment - self._last_heartbeat < TEND:
            return
        self._last_heartbeat = moment
        behind = moment - self._oldest if self._oldest is not None else 0.0
        self._state = self._state._replace(
            behind=behind, folds=self._tally.total_folds, errors=self._tally.total_errors
        )
        self.listener.heartbeat(self._state)
