from hypothesis import given
from hypothesis import strategies as st

from uuidfs.reconcile.schedule import Schedule

DEBOUNCE, INTERVAL = 0.2, 600.0


def agenda() -> Schedule:
    made = Schedule(DEBOUNCE, INTERVAL)
    made.resync(0.0)
    made.begin()
    made.passed(0.0, 0.0, clean=True)
    return made


def test_nothing_is_due_before_the_interval_is_over() -> None:
    quiet = agenda()
    assert not quiet.due(INTERVAL - 1)
    assert quiet.due(INTERVAL)


def test_events_put_a_pass_off_but_not_for_ever() -> None:
    busy = agenda()
    now = 10.0
    while not busy.due(now):
        busy.soon(now)
        now += DEBOUNCE / 2
        assert now < 13.0
    assert now >= 12.0


def test_a_pass_follows_the_last_event_after_the_debounce() -> None:
    one = agenda()
    one.soon(10.0)
    assert not one.due(10.0 + DEBOUNCE / 2)
    assert one.due(10.0 + DEBOUNCE)


def test_what_comes_during_a_pass_is_for_the_next_one() -> None:
    for happen in (Schedule.soon, Schedule.resync, Schedule.retry):
        one = agenda()
        one.soon(10.0)
        one.begin()
        happen(one, 10.5)
        one.passed(11.0, 1.0, clean=True)
        assert one.wait(11.0) <= 5.0, happen


def test_passes_leave_most_of_the_time_to_others() -> None:
    slow = agenda()
    slow.begin()
    slow.passed(100.0, 2.0, clean=True)
    slow.resync(100.0)
    assert not slow.due(109.0)
    assert slow.due(110.0)


def test_failures_are_tried_again_less_and_less_often_until_something_happens() -> None:
    failing = agenda()
    now, waits = 0.0, []
    for _ in range(12):
        failing.begin()
        failing.passed(now, 0.0, clean=False)
        waits.append(failing.wait(now))
        now += waits[-1]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert waits[-1] == 300.0
    failing.soon(now)
    failing.begin()
    failing.passed(now, 0.0, clean=False)
    assert failing.wait(now) == 0.5


@given(st.lists(st.tuples(st.sampled_from(["soon", "resync", "retry"]), st.floats(0.0, 30.0))))
def test_after_any_event_a_pass_comes_soon(events: list[tuple[str, float]]) -> None:
    one = agenda()
    now = 1.0
    for event, later in events:
        now += later
        getattr(one, event)(now)
        assert one.wait(now) <= 2.0
        if one.due(now):
            one.begin()
            one.passed(now, 0.0, clean=True)
