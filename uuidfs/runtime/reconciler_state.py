"""Says whether a reconciler runs and how far behind it is: /run/uuidfs/reconciler.json.

Beside it lies reconciler.lock, held by flock(2) as long as the process lives: the file alone
would go on telling of a reconciler that was killed.
"""

import fcntl
import os
import time
from typing import NamedTuple

from uuidfs.errors import SystemCallFailed, UuidfsError
from uuidfs.files.directory import Directory, opened
from uuidfs.files.small import replace_file
from uuidfs.layout.places import Layout
from uuidfs.runtime.flock import make_lock_directory, try_lock
from uuidfs.runtime.records import LIMIT, parse_record, record_bytes

FILE = "reconciler.json"

LOCK = "reconciler.lock"

_PATIENCE = 1.0  # seconds; somebody who asks for the standing holds the lock for an instant


class ReconcilerState(NamedTuple):
    """``since``, ``passed`` and ``written`` are seconds since the epoch; ``behind`` and
    ``took`` seconds. ``polling`` is empty, or says why there are no events."""

    pid: int
    since: float
    written: float = 0.0
    pending: int = 0
    behind: float = 0.0
    passed: float = 0.0
    took: float = 0.0
    domains: int = 0
    watches: int = 0
    folds: int = 0
    errors: int = 0
    polling: str = ""


class AlreadyRunsError(UuidfsError):
    """Another reconciler looks after the same files."""

    def __init__(self, path: str) -> None:
        super().__init__(f"a reconciler runs already: it holds {path}", path)


class RunsError(UuidfsError):
    """What is to be undone would be done again at once."""

    def __init__(self, pid: int) -> None:
        super().__init__(
            f"a reconciler runs (pid {pid}) and would convert everything again: stop it first "
            "(systemctl disable --now uuidfs)"
        )
        self.pid = pid


def claim(layout: Layout) -> int:
    """Become the reconciler of a layout; returns the descriptor that holds the lock.

    Raises AlreadyRunsError, Refused or SystemCallFailed.
    """
    make_lock_directory(layout.locks)
    path = f"{layout.locks.parent.path}/{LOCK}"
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            held = try_lock(path)
        except OSError as error:
            raise SystemCallFailed("lock", path, error) from error
        if held is not None:
            return held
        if time.monotonic() >= deadline:
            raise AlreadyRunsError(path)
        time.sleep(0.05)


def write(layout: Layout, state: ReconcilerState) -> None:
    """Replace the file. Raises SystemCallFailed or Refused; the old one stays then."""
    fields = state._replace(written=time.time())._asdict()
    replace_file(layout.locks.parent, FILE, record_bytes(fields))


def read(layout: Layout) -> ReconcilerState | None:
    """What the running reconciler last said of itself; None when none runs."""
    try:
        directory = opened(layout.locks.parent)
        if directory is None:
            return None
        with directory:
            data = directory.read(FILE, LIMIT) if _is_held(directory) else None
            return parse_record(data, ReconcilerState) if data is not None else None
    except (OSError, ValueError, UuidfsError):
        return None


def _is_held(directory: Directory) -> bool:
    try:
        fd = os.open(LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory.fd)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
