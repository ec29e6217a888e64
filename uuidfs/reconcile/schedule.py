"""When the next full pass is due. Pure: the clock is an argument, in seconds."""

_SHARE = 5.0  # between two passes lie at least so many times as long as the last one took

_LONGEST_WAIT = 2.0  # seconds that a stream of events can put a pass off

_FIRST_RETRY = 0.5

_LAST_RETRY = 300.0

_NEVER = float("inf")


class Schedule:
    """Debounces passes, spaces them out, and backs off while something keeps failing."""

    def __init__(self, debounce: float, interval: float) -> None:
        self._debounce = debounce
        self._interval = interval
        self._fixed = _NEVER  # a resync, a retry, the next regular pass
        self._quiet = _NEVER  # once no more events come
        self._first: float | None = None  # the first event since the last pass
        self._earliest = 0.0
        self._retry = _FIRST_RETRY

    def resync(self, now: float) -> None:
        """Everything has to be looked at, at once."""
        self._fixed = min(self._fixed, now)

    def soon(self, now: float) -> None:
        """An event came: a pass once it is quiet, but not later than some seconds."""
        self._first = now if self._first is None else self._first
        self._quiet = min(now + self._debounce, self._first + _LONGEST_WAIT)
        self._retry = _FIRST_RETRY

    def retry(self, now: float) -> None:
        """Something was busy or failed: again, each time after twice as long."""
        self._fixed = min(self._fixed, now + self._retry)

    def at_most(self, now: float, interval: float) -> None:
        """A pass at least every ``interval`` from now on: there are no events."""
        self._interval = min(self._interval, interval)
        self._fixed = min(self._fixed, now + interval)

    def due(self, now: float) -> bool:
        """Whether to make a pass now."""
        return self.wait(now) <= 0.0

    def wait(self, now: float) -> float:
        """How long until then; below 0 when it is overdue."""
        return max(min(self._fixed, self._quiet), self._earliest) - now

    def begin(self) -> None:
        """A pass begins: what comes from now on may be behind its back, and is for the next."""
        self._fixed = self._quiet = _NEVER
        self._first = None

    def passed(self, now: float, took: float, *, clean: bool) -> None:
        """The pass is over; ``clean`` when nothing was busy and nothing failed."""
        self._earliest = now + _SHARE * took
        self._fixed = min(self._fixed, now + self._interval)
        if clean:
            self._retry = _FIRST_RETRY
        else:
            self._fixed = min(self._fixed, now + self._retry)
            self._retry = min(2 * self._retry, _LAST_RETRY)
