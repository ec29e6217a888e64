"""Tells the listener what was done and what failed, and counts both."""

import errno
import os
import time
from collections import Counter
from collections.abc import Mapping

from uuidfs.convert.results import RunResult
from uuidfs.reconcile.interface import Listener

REPEAT = 3600.0  # seconds before the same trouble is told again
_OF_THE_HOST = [os.strerror(e) for e in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)]


class Tally:
    """Trouble is told once an hour, and anew after a pass without any. What a disk does to all
    domains alike, such as being full, is one trouble.

    ``folds`` and ``errors`` are by UUID, since the reconciler's start; the totals as well
    count what belongs to no domain."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.folds: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.total_folds = 0
        self.total_errors = 0
        self._told: dict[tuple[object, ...], float] = {}

    def done(self, files: int, name: str, uuid: str, action: str) -> None:
        """So many files of a domain were handled."""
        self.listener.info(f"{files} files", {"name": name, "uuid": uuid, "action": action})
        self.folds[uuid] += files
        self.total_folds += files

    def failed(self, message: str, **fields: object) -> None:
        """Something could not be done; where ``uuid`` is given, for that domain."""
        of_the_host = next((why for why in _OF_THE_HOST if why in message), None)
        uuid = fields.get("uuid")
        self._warn((of_the_host,) if of_the_host else (uuid, message), message, fields)
        self.total_errors += 1
        if isinstance(uuid, str) and uuid:
            self.errors[uuid] += 1

    def tell(self, result: RunResult) -> None:
        """All that a run did, and what it left alone."""
        for problem in result.problems:
            fields = {"path": problem.path, "action": "look"}
            self._warn((problem.path, problem.reason), problem.reason, fields)
        for domain in result.domains:
            name = domain.name or ""
            if domain.files:
                self.done(domain.files, name, domain.uuid, result.action)
            if domain.error is not None and not domain.busy:
                self.failed(domain.error, name=name, uuid=domain.uuid, action=result.action)
        if not result.problems and not any(domain.error for domain in result.domains):
            self._told.clear()

    def _warn(self, what: tuple[object, ...], message: str, fields: Mapping[str, object]) -> None:
        now = time.monotonic()
        last = self._told.get(what)
        if last is None or now - last >= REPEAT:
            self._told[what] = now
            self.listener.warning(message, fields)
