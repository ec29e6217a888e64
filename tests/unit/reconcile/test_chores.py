"""How often the reconciler tries to recover local migrations, by a clock that is made up."""

import os
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.conftest import Build
from tests.support.trees import Domain, uuid_for
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout
from uuidfs.reconcile import chores
from uuidfs.reconcile.interface import Listener
from uuidfs.runtime import sessions
from uuidfs.runtime.owners import started_at
from uuidfs.runtime.sessions import Session

WEB, DB = uuid_for("web"), uuid_for("db")
HOUR = 3600
TICK = 10


class Host:
    """A layout, the reconciler's look for orphans every ten seconds, and when it had one tried."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.now = 0
        self.tried: list[int] = []
        self.during: Callable[[], None] = lambda: None
        listener = Listener(lambda *_: None, lambda *_: None, lambda _: None, recover=self._recover)
        self.orphans = chores.Orphans(layout, listener)

    def _recover(self) -> None:
        self.tried.append(self.now)
        self.during()

    def session(self, uuid: str, *, since: float = 1.0, alive: bool = False) -> None:
        pid = os.getpid()
        start = (started_at(pid) or 0) if alive else 0
        sessions.write(
            self.layout,
            Session(uuid, "web", sessions.PEER, pid, start, since, "a tool", "", "web-incoming"),
        )

    def end(self, uuid: str) -> None:
        found = sessions.read(self.layout, uuid)
        assert found is not None
        sessions.end(self.layout, found)

    def waits(self, seconds: int) -> list[int]:
        """Let that time pass; the times of what was tried."""
        self.tried.clear()
        for _ in range(seconds // TICK):
            self.orphans.look(float(self.now))
            self.now += TICK
        return self.tried


@pytest.fixture
def host(make_tree: Build) -> Host:
    return Host(system(os.fspath(make_tree(Domain("web", WEB)).host.root)))


def test_the_wait_grows_from_a_minute_to_an_hour(host: Host) -> None:
    assert host.waits(HOUR) == []
    host.now = 0
    host.session(WEB)
    tried = host.waits(5 * HOUR)
    gaps = [later - before for before, later in pairwise(tried)]
    assert tried[0] == 0
    assert gaps == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_recovery_that_runs_and_fails_is_no_new_beginning(host: Host) -> None:
    """It becomes the owner, so there is no orphan meanwhile."""
    host.session(WEB)
    host.during = lambda: host.session(WEB, alive=True)
    ends = []
    for _ in range(4):
        while not host.waits(TICK):
            pass
        host.waits(20)  # it runs, and fails
        host.session(WEB)
        ends.append(host.now)
    while not (tried := host.waits(TICK)):
        pass
    assert tried[0] - ends[-1] in range(470, 490), "the fourth wait, after the end of the fourth"
    assert tried[0] > 15 * 60, "five attempts once took four minutes"


def test_a_session_that_is_over_is_forgotten(host: Host) -> None:
    host.session(WEB)
    assert len(host.waits(HOUR)) == 6
    host.end(WEB)
    assert host.waits(10) == []
    host.session(WEB, since=2.0)
    assert len(host.waits(200)) == 3


def test_the_domains_next_session_begins_anew_also_unseen(host: Host) -> None:
    host.session(WEB)
    host.waits(HOUR)
    host.session(WEB, since=2.0)
    assert len(host.waits(200)) == 3


def test_another_domains_session_does_not_wait_for_the_first(host: Host) -> None:
    host.session(WEB)
    host.waits(2 * HOUR)
    host.session(DB)
    assert len(host.waits(200)) == 3
    host.end(DB)
    assert host.waits(1000) == [], "the first one still waits its hour"


def test_what_a_boot_left_aside_waits_as_well_while_a_recovery_has_a_session_for_it(
    host: Host,
) -> None:
    place = host.layout.aside
    os.makedirs(place.path)
    with open(f"{place.path}/{WEB}.json", "w", encoding="ascii") as file:
        file.write("{}")
    assert len(host.waits(200)) == 3
    session = Session(WEB, "web", sessions.HOME, 1, 0, 7.0, sessions.RECOVERY, "", "")
    sessions.write(host.layout, session)
    assert len(host.waits(200)) <= 1
