"""One line in the host's journal for each trip, and for an operation: by syslog(3), as daemons do.

Lines look like the reconciler's. Nothing waits for the log: it may be absent or hang.
"""

import queue
import syslog
import threading

from uuidfs.localmigration.results import (
    CAN_MOVE,
    COUNTED,
    MOVED,
    UP_TO_DATE,
    OperationResult,
    TripResult,
)
from uuidfs.reconcile.log import line

ACTION = "local-migrate"

_PATIENCE = 2.0  # seconds at the end for what is not written yet


class Journal:
    """Writes lines in a thread of its own; a context manager."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[tuple[int, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> "Journal":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._lines.put(None)
        self._thread.join(_PATIENCE)

    def begins(self, guests: int, began: str) -> None:
        """An operation begins. Should this process die, --started-before takes ``began``."""
        fields = {"action": ACTION, "guests": guests, "began": began}
        self._put(syslog.LOG_INFO, "an operation begins", fields)

    def trip(self, trip: TripResult) -> None:
        """One trip, or why there was none."""
        fields: dict[str, object] = {
            "name": trip.name,
            "uuid": trip.uuid,
            "action": ACTION,
            "outcome": trip.outcome,
        }
        if trip.downtimes:
            fields["seconds"] = f"{trip.seconds:.1f}"
            fields["downtimes"] = ",".join(map(str, trip.downtimes))
        good = trip.error is None
        message = trip.outcome.replace("_", " ") if trip.error is None else trip.error
        self._put(syslog.LOG_INFO if good else syslog.LOG_WARNING, message, fields)

    def ends(self, result: OperationResult, began: str) -> None:
        """An operation is over."""
        fields: dict[str, object] = {"action": ACTION}
        fields |= {each: result.count(each) for each in COUNTED if each != CAN_MOVE}
        fields |= {"seconds": f"{result.seconds:.1f}", "began": began, "stopped": result.stopped}
        if result.longest_downtime is not None:
            fields["longest_downtime"] = result.longest_downtime
        good = all(trip.outcome in {MOVED, UP_TO_DATE} for trip in result.trips)
        self._put(syslog.LOG_INFO if good else syslog.LOG_WARNING, "an operation is over", fields)

    def _put(self, level: int, message: str, fields: dict[str, object]) -> None:
        # What is not UTF-8 would raise in syslog.
        text = line(message, fields).encode("utf-8", "backslashreplace").decode()
        self._lines.put((level, text))

    def _write(self) -> None:
        syslog.openlog("uuidfs", syslog.LOG_PID, syslog.LOG_DAEMON)
        while (entry := self._lines.get()) is not None:
            syslog.syslog(*entry)
