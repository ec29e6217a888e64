"""One lock per domain, flock(2): a free one is taken at once, filelock waits for a busy one.

``flock(1)`` and any other program that locks the same file take part.

/run/uuidfs/lock/UUID.lock. The files stay: removing a lock file that somebody else has open
would give two holders of one lock.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from uuidfs.errors import Busy, SystemCallFailed
from uuidfs.layout.places import Layout
from uuidfs.runtime import sessions
from uuidfs.runtime.flock import make_lock_directory, try_lock

DEFAULT_TIMEOUT = 10.0


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
            descriptor = try_lock(path)
            release = partial(os.close, descriptor) if descriptor is not None else self._wait(path)
        except OSError as error:
            raise SystemCallFailed("lock", path, error) from error
        try:
            if not self._owner:
                sessions.guard(self._layout, uuid)  # one may have begun and lost its owner
            yield
        finally:
            release()  # closing the only descriptor releases flock(2)

    def _wait(self, path: str) -> Callable[[], None]:
        import filelock

        lock = filelock.FileLock(path)
        try:
            lock.acquire(timeout=self._timeout)
        except filelock.Timeout:
            raise Busy(path, self._timeout) from None
        return lock.release
