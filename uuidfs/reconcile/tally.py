"""Tells the listener what was done and what failed, and counts both."""

from collections import Counter

from uuidfs.convert.results import RunResult
from uuidfs.reconcile.interface import Listener


class Tally:
    """``folds`` and ``errors`` are by UUID, since the reconciler's start; the totals as well
    count what belongs to no domain."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.folds: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.total_folds = 0
        self.total_errors = 0

    def done(self, files: int, name: str, uuid: str, action: str) -> None:
        """So many files of a domain were handled."""
        self.listener.info(f"{files} files", {"name": name, "uuid": uuid, "action": action})
        self.folds[uuid] += files
        self.total_folds += files

    def failed(self, message: str, **fields: object) -> None:
        """Something could not be done; where ``uuid`` is given, for that domain."""
        self.listener.warning(message, fields)
        self.total_errors += 1
        uuid = fields.get("uuid")
        if isinstance(uuid, str) and uuid:
            self.errors[uuid] += 1

    def tell(self, result: RunResult) -> None:
        """All that a run did, and what it left alone."""
        for problem in result.problems:
            self.listener.warning(problem.reason, {"path": problem.path, "action": "look"})
        for domain in result.domains:
            name = domain.name or ""
            if domain.files:
                self.done(domain.files, name, domain.uuid, result.action)
            if domain.error is not None and not domain.busy:
                self.failed(domain.error, name=name, uuid=domain.uuid, action=result.action)
