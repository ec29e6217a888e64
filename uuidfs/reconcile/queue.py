"""Where to look next: what events named, without saying what happened there."""

import os
import threading
from typing import NamedTuple

from uuidfs.layout.places import Kind


class ChangedName(NamedTuple):
    """A name path that may have changed. ``kind`` None is a status XML, or an autostart link.

    ``name`` is the domain's as far as the path tells: for a log it is the log's file name,
    since a domain may itself be called x.log. ``entry`` is empty for a whole directory.
    """

    kind: Kind | None
    name: str
    entry: str = ""


class ChangeQueue:
    """A set of changes that threads add to; the loop waits on :meth:`fileno`.

    An event that comes while the same changed waits already adds nothing: a look is at what is
    there now, not at what an event said.
    """

    def __init__(self) -> None:
        self._names: dict[ChangedName, None] = {}
        self._everything = False
        self._lock = threading.Lock()
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def close(self) -> None:
        """Close the pipe that wakes the loop."""
        os.close(self._reading)
        os.close(self._writing)

    def fileno(self) -> int:
        """Readable as soon as there is something to look at, for select(2)."""
        return self._reading

    def wake_fd(self) -> int:
        """For signal.set_wakeup_fd: a signal wakes the loop as an event does."""
        return self._writing

    def add(self, changed: ChangedName) -> None:
        """Note a name."""
        with self._lock:
            self._names[changed] = None
        self._wake()

    def add_everything(self) -> None:
        """Note that events were lost, or a directory came: only a full pass sees it all."""
        with self._lock:
            self._everything = True
        self._wake()

    def take(self) -> tuple[list[ChangedName], bool]:
        """All changes in the order of their first event, and whether to look everywhere."""
        try:
            while os.read(self._reading, 4096):
                pass
        except BlockingIOError:
            pass
        # After the pipe, not before: an event in between wakes the loop once too often
        # rather than once too seldom.
        with self._lock:
            changes, self._names = self._names, {}
            everything, self._everything = self._everything, False
        return list(changes), everything

    def __len__(self) -> int:
        return len(self._names)

    def _wake(self) -> None:
        try:
            os.write(self._writing, b"!")
        except BlockingIOError:
            pass  # the pipe is full of wake-ups already
