"""How long things have been seen, counted while the host runs and not read off the wall clock.

A wall clock can be years off: a dead battery, a date set by mistake for a minute. What is past
its retention is gone for good, so that is decided by counters: the seconds that boots have run
(CLOCK_BOOTTIME), and of the time between two boots what the wall clock says, as far as that can
be true. A jump of the wall clock while the host runs does not count.
"""

import time
from collections.abc import Collection, Mapping
from typing import NamedTuple

JUMP = 3600.0  # seconds that a wall clock is set by before anybody is told
OFF = 45 * 86400.0  # seconds: longer than that a host is not off, its clock is wrong
DAY = 86400.0  # seconds of running time that lie between two looks before something goes


class Clock(NamedTuple):
    """What the clocks say: ``wall`` since the epoch, ``up`` and ``awake`` since the boot, in
    seconds, with the time in suspend and without it."""

    wall: float
    up: float
    awake: float


class Ages(NamedTuple):
    """Counters of seconds, and what they were when each thing was seen first.

    ``counted`` is the time that things age by, ``running`` that in which the host ran, and
    ``gap`` what of ``counted`` only the wall clock says: the time since the boot before. ``seen``
    holds, by key, ``counted`` and ``running`` at the first look.
    """

    last: Clock = Clock(0.0, 0.0, 0.0)
    counted: float = 0.0
    running: float = 0.0
    gap: float = 0.0
    seen: Mapping[str, tuple[float, float]] = {}


def read_clock() -> Clock:
    """The clocks of this host (clock_gettime(2)). The unit cannot read the boot's id in /proc."""
    return Clock(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic())


def look(ages: Ages, clock: Clock, keys: Collection[str]) -> tuple[Ages, str | None]:
    """Count the time since the last look; forget what is gone, note what is new.

    Returns the ages, and a sentence when the wall clock was set.
    """
    moved, told = _count(ages, clock)
    first = (moved.counted, moved.running)
    seen = {key: ages.seen.get(key, first) for key in sorted(keys)}
    return moved._replace(last=clock, seen=seen), told


def _count(ages: Ages, clock: Clock) -> tuple[Ages, str | None]:
    last = ages.last
    if not last.up:
        return ages, None
    passed = clock.wall - last.wall
    if clock.up < last.up:  # another boot; one that is up for longer counts as the same, for less
        off = passed - clock.up
        is_true = 0 <= off <= OFF
        gap = off if is_true else 0.0
        ages = ages._replace(
            counted=ages.counted + clock.up + gap, running=ages.running + clock.awake, gap=gap
        )
        return ages, None if is_true else _jump(off)
    ran, jump = clock.up - last.up, passed - (clock.up - last.up)
    # Set back in the boot that began with a clock ahead: the gap before it was shorter.
    back = min(-jump, ages.gap) if jump < -JUMP else 0.0
    ages = ages._replace(
        counted=ages.counted + ran - back,
        running=ages.running + clock.awake - last.awake,
        gap=ages.gap - back,
    )
    return ages, _jump(jump) if abs(jump) > JUMP else None


def _jump(seconds: float) -> str:
    hours = round(abs(seconds) / 3600)
    where = "ahead" if seconds > 0 else "back"
    return f"the clock was set {where} by {hours // 24} days and {hours % 24} hours; " + (
        "what waits for its retention does not age by that"
    )


def is_past(ages: Ages, key: str, retention: float) -> bool:
    """Whether a thing has been seen for longer than ``retention`` seconds.

    The first and this look also have a day of running time between them, or as much as the
    retention where that is shorter.
    """
    if key not in ages.seen:
        return False
    counted = ages.seen[key][0]
    return ages.counted - counted > retention and is_seen_again(ages, key, retention)


def is_seen_again(ages: Ages, key: str, retention: float) -> bool:
    """Whether a day of running time is between the first look and this one, or ``retention``."""
    return key in ages.seen and ages.running - ages.seen[key][1] >= min(retention, DAY)
