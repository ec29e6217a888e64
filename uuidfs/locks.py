"""One lock per domain, taken with flock(2) through filelock; ``flock(1)`` takes part.

/run/uuidfs/lock/UUID.lock. The files stay: removing a lock file that somebody else has open
would give two holders of one lock.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from uuidfs.errors import Busy, SystemCallFailed
from uuidfs.layout import Layout
from uuidfs.lockdir import make_lock_directory

DEFAULT_TIMEOUT = 10.0


class Locks:
    """The locks of one layout. ``timeout`` in seconds, 0 for one attempt."""

    def __init__(self, layout: Layout, timeout: float) -> None:
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

        Raises Busy after the timeout, Refused or SystemCallFailed when the lock's directory
        cannot be trusted or made.
        """
        import filelock

        self._prepare()
        path = f"{self._place.path}/{uuid}.lock"
        try:
            descriptor = _quick(path)
            if descriptor is None:
                lock = filelock.FileLock(path)
                lock.acquire(timeout=self._timeout)
        except filelock.Timeout:
            raise Busy(path, self._timeout) from None
        except OSError as error:
            raise SystemCallFailed("lock", path, error) from error
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)  # closing the only descriptor releases flock(2)
            else:
                lock.release()


def _quick(path: str) -> int | None:
    """One attempt by filelock's descriptor API (3.30 and later), a tenth of FileLock's cost.

    None when that API is missing or somebody else has the lock: then FileLock waits.
    """
    try:
        from filelock import lock_descriptor
    except ImportError:  # Debian 12 has 3.9, whose FileLock is as quick
        return None
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        # FileLock looks once more whether the path still is the file that it locked;
        # so does this, although nobody of ours ever removes one.
        if lock_descriptor(fd, blocking=False) and os.fstat(fd).st_nlink:
            return fd
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None
