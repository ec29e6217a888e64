"""The reconciler's looks at the domains' firmware: a domain that was renamed gets its own paths.

A domain's rename, start and end are seen by its config and status XML. So a look is due some
moments after one of these changed, and with every full pass: then the file that a domain uses is
noted while nobody else names it, and a definition is changed as soon as its name is another.
"""

import time
from collections.abc import Callable

from uuidfs.errors import UuidfsError
from uuidfs.firmware.definitions import Definitions
from uuidfs.firmware.plan import Mode
from uuidfs.firmware.presence import has_firmware
from uuidfs.firmware.run import FirmwareOptions, convert_firmware
from uuidfs.layout.places import Kind, Layout
from uuidfs.reconcile.interface import Listener, ReconcilerOptions
from uuidfs.reconcile.queue import ChangedName
from uuidfs.reconcile.schedule import Schedule

_DEBOUNCE = 0.2  # seconds


class FirmwareLooks:
    """One layout's; remembers what it has read of the definitions, and what it has told."""

    def __init__(self, layout: Layout, listener: Listener, resync: float) -> None:
        self._layout = layout
        self._listener = listener
        self._definitions = Definitions(layout)
        self._schedule = Schedule(_DEBOUNCE, resync)
        self._told: set[tuple[str, str]] = set()  # UUID and what is wrong with it

    def note(self, changed: ChangedName, now: float) -> None:
        """An event came."""
        if changed.kind in {None, Kind.CONFIG}:
            self._schedule.soon(now)

    def everything(self, now: float) -> None:
        """A full pass was made."""
        self._schedule.soon(now)

    def wait(self, now: float) -> float:
        """Seconds until the next look; below 0 when it is due."""
        return self._schedule.wait(now)

    def look(self, options: ReconcilerOptions, between: Callable[[], None]) -> None:
        """Look, if that is due; ``between`` is called between two domains."""
        now = time.monotonic()
        if not self._schedule.due(now):
            return
        self._schedule.begin()
        clean = True
        if has_firmware(self._layout):
            try:
                clean = self._look(options, between)
            except UuidfsError as error:
                self._listener.warning(str(error), {"action": "firmware"})
        end = time.monotonic()
        self._schedule.passed(end, end - now, clean=clean)

    def _look(self, options: ReconcilerOptions, between: Callable[[], None]) -> bool:
        wanted = FirmwareOptions(Mode(options.firmware), lock_timeout=0.0, between=between)
        run = convert_firmware(self._layout, wanted, self._definitions)
        told = set()
        for domain in run.domains:
            fields = {"uuid": domain.uuid, "name": domain.name, "action": "firmware"}
            for path in domain.files:
                self._listener.info(f"the definition names {path}", fields)
            if domain.error is not None and not domain.busy:
                told.add((domain.uuid, domain.error))
                if (domain.uuid, domain.error) not in self._told:
                    self._listener.warning(domain.error, fields)
        self._told = told
        return not any(domain.busy for domain in run.domains)
