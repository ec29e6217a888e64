"""A pass over everything, as the reconciler and ``uuidfs reconcile --once`` make it.

It is the ``convert --all`` that people run, and now and then what is past its retention.
"""

import os
import time
from collections.abc import Callable, Mapping

from uuidfs.convert.half_rename import finish_rename
from uuidfs.convert.results import Options, RunResult
from uuidfs.convert.run import convert
from uuidfs.errors import UuidfsError
from uuidfs.host.libvirtd import checkpoints_of, name_of, starts_once
from uuidfs.layout.places import Layout
from uuidfs.outdated import record
from uuidfs.outdated.record import OutdatedRecord
from uuidfs.reconcile import metrics
from uuidfs.reconcile.figures import figures_of
from uuidfs.reconcile.interface import Listener, ReconcilerOptions
from uuidfs.reconcile.metrics import Figures
from uuidfs.reconcile.tally import Tally
from uuidfs.runtime import reconciler_state
from uuidfs.runtime.reconciler_state import ReconcilerState
from uuidfs.trash.retention import expire

BY = "reconciler"
RETENTION = 3600.0  # seconds between two looks for what is past its retention
OUTDATED = 3600.0  # seconds between two looks for guests with an outdated QEMU
RENAME_PATIENCE = 5.0  # seconds that a rename may be in flight before it counts as cut in half


class FullPass:
    """The reconciler's passes, one after the other."""

    def __init__(self, layout: Layout, tally: Tally) -> None:
        self.layout = layout
        self.tally = tally
        self._emptied: float | None = None  # when what is past its retention was last looked for
        self._looked: float | None = None  # when outdated guests were

    def run(
        self, options: ReconcilerOptions, between: Callable[[int, int], None]
    ) -> RunResult | None:
        """Make one pass; ``between`` is called between two domains. None where it failed."""
        try:
            result = convert(
                self.layout,
                Options(
                    lock_timeout=0.0,
                    reader=options.reader,
                    progress=between,
                    kinds=options.kinds,
                    by=BY,
                    checkpoints=checkpoints_of,
                    keeper=options.keeper,
                    starts_once=starts_once,
                ),
            )
        except UuidfsError as error:
            self.tally.failed(str(error), action="pass")
            return None
        self.tally.tell(result)
        now = time.monotonic()
        if self._emptied is None or now - self._emptied >= RETENTION:
            self._emptied = now
            self._retire(options)
        return result

    def _retire(self, options: ReconcilerOptions) -> None:
        """Remove what is past its retention."""
        try:
            done = expire(
                self.layout,
                options.trash_retention,
                options.log_retention,
                Options(reader=options.reader),
            )
            if done.told is not None:
                self.tally.listener.warning(done.told, {"action": "empty-trash"})
            for entry in done.trash.removed:
                fields = {"uuid": entry.uuid, "file": entry.file, "action": "empty-trash"}
                self.tally.listener.info(entry.reason, fields)
            if done.logs is not None:
                self.tally.tell(done.logs)
        except UuidfsError as error:
            self.tally.failed(str(error), action="empty-trash")

    def figures(self, result: RunResult, state: ReconcilerState) -> Figures:
        """What there is to tell of a pass. Raises UuidfsError when the trash cannot be listed."""
        return figures_of(self.layout, result, self.tally, state, self._outdated_guests())

    def _outdated_guests(self) -> OutdatedRecord | None:
        """What is left of the last look, and now and then a new one, for the passes to come.

        A look takes some milliseconds a guest, and rights that the reconciler has not.
        """
        now = time.monotonic()
        look = self.tally.listener.outdated
        if look is not None and (self._looked is None or now - self._looked >= OUTDATED):
            self._looked = now
            look()
        try:
            return record.read(self.layout)
        except UuidfsError:
            return None  # one figure less, until the next look writes it anew


def write_figures(layout: Layout, result: RunResult, began: float, textfile: str) -> None:
    """Write the figures of a pass that :func:`once` made since ``began`` (seconds since the epoch).

    A reconciler that runs writes its own, which count since its start. Raises UuidfsError.
    """
    if reconciler_state.read(layout) is not None:
        return
    tally = Tally(Listener(_nobody, _nobody, lambda _state: None))
    tally.tell(result)
    now = time.time()
    state = ReconcilerState(os.getpid(), began, now, passed=now, took=now - began)
    try:
        outdated = record.read(layout)
    except UuidfsError:
        outdated = None
    metrics.write(textfile, figures_of(layout, result, tally, state, outdated))


def _nobody(_message: str, _fields: Mapping[str, object]) -> None:
    """The command itself says what the pass did."""


def once(layout: Layout, options: Options) -> RunResult:
    """One full pass, which never waits for a lock; renames that were cut in half are finished.

    Raises UuidfsError when nothing could be looked at.
    """
    options = options._replace(checkpoints=checkpoints_of, starts_once=starts_once)
    result = convert(layout, options)
    rivals = [uuid for uuid, names in result.names.items() if len(names) > 1]
    if not rivals:
        return result
    time.sleep(RENAME_PATIENCE)  # one that is in flight is over by then
    for uuid in rivals:
        try:
            finish_rename(layout, uuid, name_of, options)
        except UuidfsError:
            continue  # the pass below reports it
    return convert(layout, options)
