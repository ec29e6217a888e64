"""How the time is counted that things wait for their retention."""

import pytest

from uuidfs.trash.ages import DAY, Ages, Clock, is_past, is_seen_again, look

HOUR, YEAR_2026 = 3600.0, 1.8e9
START = Clock(YEAR_2026, 1000.0, 900.0)


def begun(clock: Clock = START) -> Ages:
    return look(Ages(), clock, ["x"])[0]


def later(clock: Clock, seconds: float, *, wall: float = 0.0, awake: float | None = None) -> Clock:
    ran = seconds if awake is None else awake
    return Clock(clock.wall + seconds + wall, clock.up + seconds, clock.awake + ran)


@pytest.mark.parametrize(
    ("clock", "counted", "running", "told"),
    [
        pytest.param(later(START, HOUR), HOUR, HOUR, "", id="an hour"),
        pytest.param(later(START, DAY, awake=HOUR), DAY, HOUR, "", id="suspended"),
        pytest.param(
            later(START, 8.0, wall=400 * DAY), 8.0, 8.0, "ahead by 400 days", id="400 days ahead"
        ),
        pytest.param(later(START, HOUR, wall=-7 * DAY), HOUR, HOUR, "back by 7 days", id="back"),
        pytest.param(
            Clock(START.wall + 2 * DAY, 60.0, 50.0), 2 * DAY, 50.0, "", id="off for two days"
        ),
        pytest.param(
            Clock(9.5e8, 60.0, 50.0), 60.0, 50.0, "back by", id="booted with a dead battery"
        ),
        pytest.param(
            Clock(START.wall + 400 * DAY, 60.0, 50.0),
            60.0,
            50.0,
            "ahead by 400 days",
            id="booted with a clock 400 days ahead",
        ),
    ],
)
def test_what_counts(clock: Clock, counted: float, running: float, told: str) -> None:
    ages, sentence = look(begun(), clock, ["x"])
    assert (ages.counted, ages.running) == (counted, running)
    assert told in (sentence or "")
    assert bool(told) == bool(sentence)
    assert ages.seen == {"x": (0.0, 0.0)}


def test_a_gap_that_a_wrong_clock_made_is_taken_back_when_the_clock_is_set() -> None:
    booted = Clock(START.wall + 40 * DAY, 60.0, 60.0)
    ages, _ = look(begun(), booted, ["x"])
    assert ages.counted == 40 * DAY
    right = Clock(START.wall + 660.0, 660.0, 660.0)
    ages, told = look(ages, right, ["x"])
    assert told is not None
    assert "back by 39 days" in told or "back by 40 days" in told
    assert 0 <= ages.counted <= 2 * HOUR
    assert ages.running == 660.0


def test_what_is_gone_is_forgotten_and_what_is_new_starts_at_the_look() -> None:
    ages, _ = look(begun(), later(START, HOUR), ["y"])
    assert ages.seen == {"y": (HOUR, HOUR)}


@pytest.mark.parametrize(
    ("seconds", "awake", "retention", "past"),
    [
        (31 * DAY, 31 * DAY, 30 * DAY, True),
        (29 * DAY, 29 * DAY, 30 * DAY, False),
        (31 * DAY, DAY - 1, 30 * DAY, False),
        (2 * HOUR, 2 * HOUR, HOUR, True),
        (2 * HOUR, HOUR / 2, HOUR, False),
        (0.0, 0.0, 0.0, False),
    ],
)
def test_past_its_retention(seconds: float, awake: float, retention: float, past: bool) -> None:
    ages, _ = look(begun(), later(START, seconds, awake=awake), ["x"])
    assert is_past(ages, "x", retention) is past
    assert not is_past(ages, "new", retention)
    assert is_seen_again(ages, "x", retention) is (awake >= min(retention, DAY))
