"""Says whether a reconciler runs and how far behind it is: /run/uuidfs/reconciler.json.

Beside it lies reconciler.lock, held by flock(2) as long as the process lives: the file alone
would go on telling of a reconciler that was killed.
"""

import fcntl
import json
import os
import time
from typing import Any, NamedTuple

from uuidfs.errors import SystemCallFailed, UuidfsError
from uuidfs.files.directory import closing, opened
from uuidfs.files.entry import read_small
from uuidfs.files.small import replace_file
from uuidfs.layout.places import Layout
from uuidfs.runtime.flock import make_lock_directory, try_lock

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
        super().__init__(f"a reconciler runs already: it holds {path}")
        self.path = path


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


def write(layout: Layout, standing: ReconcilerState) -> None:
    """Replace the file. Raises SystemCallFailed or Refused; the old one stays then."""
    text = json.dumps({"version": 1, **standing._replace(written=time.time())._asdict()})
    replace_file(layout.locks.parent, FILE, text.encode())


def read(layout: Layout) -> ReconcilerState | None:
    """What the running reconciler last said of itself; None when none runs."""
    try:
        fd = opened(layout.locks.parent)
    except UuidfsError:
        return None
    if fd is None:
        return None
    with closing(fd):
        try:
            if not _held(fd):
                return None
            fields: dict[str, Any] = json.loads(read_small(fd, FILE, 65536, FILE))
        except (OSError, ValueError, UuidfsError):
            return None
    known = {key: value for key, value in fields.items() if key in ReconcilerState._fields}
    return ReconcilerState(**known) if {"pid", "since"} <= set(known) else None


def _held(directory: int) -> bool:
    try:
        fd = os.open(LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return False
    with closing(fd):
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
