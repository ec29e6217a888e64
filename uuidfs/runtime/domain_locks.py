"""One lock per domain, flock(2): a free one is taken at once, filelock waits for a busy one.

``flock(1)`` and any other program that locks the same file take part.

/run/uuidfs/lock/UUID.lock. The files stay: removing a lock file that somebody else has open
would give two holders of one lock.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from uuidfs.errors import Busy, SystemCallFailed
from uuidfs.layout.places import Layout
from uuidfs.runtime import sessions
from uuidfs.runtime.flock import make_lock_directory, try_lock

DEFAULT_TIMEOUT = 10.0

UNLINKS = (3, 21), (3, 29)  # filelock from the first to before the second removes the file
_POLL = 0.05  # seconds


class Locks:
    """The locks of one layout. ``timeout`` in seconds, 0 for one attempt.

    Only a session's ``owner`` gets the lock of a domain that has one.
    """

    def __init__(self, layout: Layout, timeout: float, *, owner: bool = False) -> None:
        self._layout = layout
        self._owner = owner
        self._place = layout.locks
        self._timeout = timeout
        self._ready = False

    def _prepare(self) -> None:
        if not self._ready:
            make_lock_directory(self._place)
            self._ready = True

    @contextmanager
    def hold(self, uuid: str) -> Iterator[None]:
        """Hold one domain's lock; it falls with the process, however that ends.

        Raises Busy after the timeout, its kind InSession when the lock is free but there is a
        session, Refused or SystemCallFailed when the lock's directory cannot be trusted or made.
        """
        self._prepare()
        uuid = sessions.real_uuid(self._layout, uuid)  # a domain and its peer have one lock
        if not self._owner and not self._timeout:
            sessions.guard(self._layout, uuid)  # says more than that the lock is held
        path = f"{self._place.path}/{uuid}.lock"
        try:
            descriptor = self._taken(path)
        except OSError as error:
            raise SystemCallFailed("lock", path, error) from error
        try:
            if not self._owner:
                sessions.guard(self._layout, uuid)  # one may have begun and lost its owner
            yield
        finally:
            os.close(descriptor)  # closing the only descriptor releases flock(2)

    def _taken(self, path: str) -> int:
        """Take the lock; raises Busy after the timeout."""
        deadline = time.monotonic() + self._timeout
        while (descriptor := try_lock(path)) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Busy(path, self._timeout)
            _wait(path, left)
        return descriptor


def _wait(path: str, timeout: float) -> None:
    """Wait until a lock is free, or the time is over.

    filelock only waits: the lock is taken by try_lock, which sees whether the path still leads to
    what it locked. Some releases of filelock remove the file when they let go, and give two
    programs one lock; those are not used, and the lock is asked for again and again.
    """
    import filelock

    if UNLINKS[0] <= _version(filelock.__version__) < UNLINKS[1]:
        time.sleep(min(timeout, _POLL))
        return
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except filelock.Timeout:
        return
    lock.release()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
