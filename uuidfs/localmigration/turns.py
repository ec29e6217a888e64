"""Whose turn it is: guests in their order, some at a time, until too many have failed. Pure.

Nobody overtakes the first in line. So a guest that waits for memory is never passed by smaller
ones for ever; when all before it are home it begins alone, whatever is free, and only the
preflight of its own trip can refuse it then.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Guest = TypeVar("Guest")

NEVER = 0  # failures after which nothing stops


class Turns(Generic[Guest]):
    """Guests that wait, and those under way."""

    def __init__(self, guests: Sequence[Guest], jobs: int = 1, max_failures: int = NEVER) -> None:
        """``jobs``: at most so many at a time. ``max_failures``: none begins after so many."""
        self._waiting = deque(guests)
        self._jobs = jobs
        self._max_failures = max_failures
        self._alone: list[Guest] = []  # those that nobody is under way beside
        self._crowded: list[Guest] = []  # those that others were under way beside
        self.under_way: list[Guest] = []
        self.failures = 0
        self.cancelled = False

    @property
    def stopped(self) -> bool:
        """Whether nobody begins any more."""
        return self.cancelled or 0 < self._max_failures <= self.failures

    @property
    def over(self) -> bool:
        """Whether nobody is under way, and nobody will be."""
        return not self.under_way and (self.stopped or not self._waiting)

    @property
    def waiting(self) -> tuple[Guest, ...]:
        """Those that have not begun, in their order."""
        return tuple(self._waiting)

    def begin(self, fits: Callable[[Guest], bool]) -> Guest | None:
        """The next one begins, where it may: None when all wait. ``fits`` is asked of the first
        in line, and only where others are under way."""
        if self.stopped or not self._waiting or len(self.under_way) >= self._jobs:
            return None
        first = self._waiting[0]
        if self.under_way and (
            any(one in self._alone for one in (first, *self.under_way)) or not fits(first)
        ):
            return None
        guest = self._waiting.popleft()
        self.under_way.append(guest)
        if len(self.under_way) > 1:
            self._crowded += [one for one in self.under_way if one not in self._crowded]
        return guest

    def end(self, guest: Guest, *, failed: bool = False) -> None:
        """It is over."""
        self.under_way.remove(guest)
        for those in (self._crowded, self._alone):
            if guest in those:
                those.remove(guest)
        if failed:
            self.failures += 1

    def short(self, guest: Guest) -> bool:
        """It was refused for memory; tells whether it gets another turn, alone.

        That is once, and only where others had memory beside it: what was free when it began may
        have been taken by others of the host before its preflight looked.
        """
        crowded = guest in self._crowded and not self.stopped
        self.end(guest)
        if crowded:
            self._waiting.appendleft(guest)
            self._alone.append(guest)
        return crowded
