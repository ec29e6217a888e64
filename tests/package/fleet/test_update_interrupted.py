"""update_qemu that ends in the middle, or that cannot begin."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.conftest import MakeHost
from tests.live.migration import counting, counts, leftovers, phase, went_on
from tests.package.fleet.hosts import Fleet
from tests.package.fleet.playing import Ansible
from tests.support.process import wait_for

pytestmark = pytest.mark.live


@pytest.fixture
def fleet(ansible: Ansible, make_host: MakeHost, tmp_path: Path, uuidfs_works: None) -> Fleet:
    """One host, with a guest that is outdated."""
    found = Fleet(ansible, tmp_path)
    found.add("one", make_host())
    found.start("one", "a")
    found.upgrade()
    return found


def test_a_trip_goes_on_when_ansible_is_killed(fleet: Fleet) -> None:
    host = fleet.hosts["one"]
    before = fleet.pids()
    play = subprocess.Popen(
        fleet.ansible.words(fleet.inventory(), "update_qemu", variables=fleet.variables()),
        cwd=fleet.ansible.home,
        env=fleet.ansible.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with play:
        wait_for(lambda: phase(host), "the trip has begun")
        os.killpg(play.pid, signal.SIGKILL)
    wait_for(lambda: leftovers(host) == [], "the trip is over")
    assert fleet.pids()["one"]["a"] != before["one"]["a"]
    counting(host)
    went_on(counts(host))
    assert fleet.play("update_qemu").ok().changed() == {"one": 0}


def test_a_report_that_cannot_be_written_ends_the_play_before_a_guest_moves(fleet: Fleet) -> None:
    before = fleet.pids()
    play = fleet.play("update_qemu", uuidfs_report=f"{fleet.work}/no/such/directory/report.json")
    assert play.failed() == {"one": True}
    assert "directory" in play.text
    assert fleet.pids() == before


def test_what_uuidfs_refuses_to_do_is_the_hosts_error(fleet: Fleet) -> None:
    before = fleet.pids()
    play = fleet.play("update_qemu", uuidfs_jobs=0)
    assert play.failed() == {"one": True}
    assert "--jobs" in play.text.partition("Show the report")[2]
    assert fleet.pids() == before


def test_a_host_that_dies_during_a_trip_does_not_hold_the_others_up(
    fleet: Fleet, make_host: MakeHost
) -> None:
    fleet.add("two", make_host())
    host = fleet.hosts["one"]

    def end() -> None:
        wait_for(lambda: phase(host), "the trip has begun")
        host.close()

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(end)
        play = fleet.play("update_qemu")
        ended.result()
    assert play.failed() == {"one": True, "two": False}
    assert "the host cannot be reached" in play.text


@pytest.mark.parametrize(("number", "told"), [(15, "was interrupted"), (9, "ended with code -9")])
def test_that_somebody_ended_uuidfs_on_the_host_is_told(
    fleet: Fleet, number: int, told: str
) -> None:
    host = fleet.hosts["one"]

    def end() -> None:
        wait_for(lambda: phase(host), "the trip has begun")
        host.run("pkill", f"-{number}", "-f", "uuidfs local-migrate").ok()

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(end)
        play = fleet.play("update_qemu")
        ended.result()
    assert play.failed() == {"one": True}
    assert told in play.text.partition("Show the report")[2]
