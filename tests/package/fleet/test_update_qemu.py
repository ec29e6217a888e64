"""The playbook update_qemu over hosts with real guests, by the real ansible-core."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live import guest
from tests.live.conftest import MakeHost
from tests.live.migration import begin, counting, leftovers
from tests.live.private_host import PrivateHost
from tests.package.fleet.hosts import Fleet
from tests.package.fleet.playing import Ansible
from tests.support.process import wait_for

pytestmark = pytest.mark.live
# Ansible would carry this out if it took a guest's name for a template.
TEMPLATE = "{{ 6 * 7 }}"


@pytest.fixture
def fleet(ansible: Ansible, make_host: MakeHost, tmp_path: Path, uuidfs_works: None) -> Fleet:
    """Three hosts: one and two have a guest each."""
    found = Fleet(ansible, tmp_path)
    for name in ("one", "two", "three"):
        found.add(name, make_host())
    found.start("one", "a")
    found.start("two", "b")
    return found


def reported(fleet: Fleet) -> dict[str, Any]:
    """The last report's hosts."""
    said = json.loads(fleet.report.read_text())
    assert said["version"] == 1
    hosts: dict[str, Any] = said["hosts"]
    return hosts


def states(fleet: Fleet) -> dict[str, str]:
    """How each host fared."""
    return {name: host["state"] for name, host in reported(fleet).items()}


def test_a_fleet_is_updated_once(fleet: Fleet) -> None:
    fleet.start("three", TEMPLATE)
    fleet.upgrade()
    before = fleet.pids()
    dry = fleet.play("update_qemu", "--check").ok()
    assert fleet.pids() == before, "nothing moves"
    assert dry.changed() == {"one": 1, "two": 1, "three": 1}
    assert "would move: a" in dry.text
    assert "would move: b" in dry.text
    assert f"would move: {TEMPLATE}" in dry.text
    assert reported(fleet)["one"]["can_move"] == [{"name": "a", "uuid": guest.uuid(1)}]

    done = fleet.play("update_qemu", uuidfs_serial=[1, "100%"], uuidfs_canary="two").ok()
    after = fleet.pids()
    assert after["one"]["a"] != before["one"]["a"]
    assert after["two"]["b"] != before["two"]["b"]
    assert after["three"][TEMPLATE] != before["three"][TEMPLATE]
    places = [done.text.find(word) for word in ("two: 1 moved", "one: 1 moved", "three: 1 moved")]
    assert -1 < places[0] < places[1] < places[2], "the canary first"
    assert states(fleet) == {"two": "moved", "one": "moved", "three": "moved"}
    (moved,) = reported(fleet)["one"]["moved"]
    assert (moved["name"], len(moved["downtimes"])) == ("a", 2)
    counting(fleet.hosts["one"])
    assert leftovers(fleet.hosts["one"]) == []

    again = fleet.play("update_qemu").ok()
    assert again.changed() == {"one": 0, "two": 0, "three": 0}
    assert fleet.pids() == after
    assert states(fleet) == dict.fromkeys(fleet.hosts, "up to date")


def test_a_canary_that_fails_leaves_the_others_alone(fleet: Fleet) -> None:
    """Its trip fails: there can be no peer daemon, for a reason that the preflight does not see."""
    fleet.start("one", "c", 2)
    fleet.upgrade()
    before = fleet.pids()
    settings = fleet.hosts["one"].path("/etc/libvirt/qemu.conf")
    text = settings.read_text()
    settings.write_text(f"{text}no setting\n")
    play = fleet.play("update_qemu", uuidfs_serial=[1, "100%"])
    assert play.code != 0
    assert play.failed() == {"one": True}, "the others are not even looked at"
    assert fleet.pids() == before
    assert states(fleet) == {"one": "failed", "two": "not reached", "three": "not reached"}
    one = reported(fleet)["one"]
    (failed,), (other,) = one["failed"], one["not_begun"]
    assert {failed["name"], other["name"]} == {"a", "c"}
    assert other["reason"] == "1 trip has failed"
    assert "the peer daemon did not start" in failed["reason"]
    assert leftovers(fleet.hosts["one"]) == []
    settings.write_text(text)
    fleet.play("update_qemu").ok()
    assert set(states(fleet).values()) == {"moved", "up to date"}


def test_so_many_hosts_may_fail_in_a_batch(fleet: Fleet) -> None:
    """A host that cannot be reached counts, as does one without uuidfs."""
    fleet.upgrade()
    before = fleet.pids()
    fleet.hosts["three"].path("/run/bin/uuidfs").unlink()
    words = {"uuidfs_canary": "three", "uuidfs_serial": [2, 1]}
    play = fleet.play("update_qemu", **words, uuidfs_max_fail_percentage=49)
    assert play.code != 0
    assert "There is no /run/bin/uuidfs on this host" in play.text
    assert states(fleet) == {"three": "failed", "one": "moved", "two": "not reached"}
    assert fleet.pids()["two"] == before["two"]
    play = fleet.play("update_qemu", **words, uuidfs_max_fail_percentage=50)
    assert play.code != 0, "one host has failed"
    assert states(fleet) == {"three": "failed", "one": "up to date", "two": "moved"}


def test_a_host_that_cannot_be_reached_is_reported(fleet: Fleet) -> None:
    fleet.upgrade()
    fleet.hosts["three"].close()
    assert fleet.play("update_qemu").code != 0
    assert states(fleet) == {"one": "moved", "two": "moved", "three": "failed"}
    assert reported(fleet)["three"]["error"].startswith("the host cannot be reached")


@contextmanager
def held(host: PrivateHost, name: str, seconds: int) -> Iterator[None]:
    """Somebody has a domain's lock for so long, or until the end."""
    with begin(host, "lock", name, "--", "sleep", str(seconds)) as holder:
        wait_for(lambda: host.run("pgrep", "-x", "sleep").code == 0, "it is held")
        try:
            yield
        finally:
            host.run("pkill", "-x", "sleep")
            holder.wait()


def test_a_busy_guest_is_tried_again(fleet: Fleet) -> None:
    """Somebody has its lock for longer than all attempts, and then until the second one.

    Beside it is one that cannot move: then the exit code of uuidfs does not say that one is busy.
    """
    fleet.start("one", "c", 2, movable=False)
    fleet.upgrade()
    before = fleet.pids()
    with held(fleet.hosts["one"], "a", 1000):
        play = fleet.play("update_qemu", "--limit", "one", uuidfs_busy_retries=1)
    assert play.code != 0
    assert play.text.count("TASK [uuidfs.uuidfs.uuidfs : Begin the trips]") == 2
    assert reported(fleet)["one"]["busy"][0]["name"] == "a"
    assert fleet.pids()["one"] == before["one"]
    with held(fleet.hosts["one"], "a", 5):
        fleet.play("update_qemu", "--limit", "one", uuidfs_busy_retries=100).ok()
    assert states(fleet) == {"one": "moved"}


def test_what_cannot_move_is_reported_and_fails_nothing_unless_asked(fleet: Fleet) -> None:
    fleet.start("one", "c", 2, movable=False)
    fleet.upgrade()
    before = fleet.pids()
    fleet.play("update_qemu", "--limit", "one").ok()
    one = reported(fleet)["one"]
    assert [guest["name"] for guest in one["moved"]] == ["a"]
    assert [guest["name"] for guest in one["refused"]] == ["c"]
    assert "qemu:commandline" in one["refused"][0]["reason"]
    assert fleet.pids()["one"]["c"] == before["one"]["c"]
    again = fleet.play("update_qemu", "--limit", "one").ok()
    assert again.changed() == {"one": 0}
    assert states(fleet) == {"one": "cannot move"}
    assert fleet.play("update_qemu", "--limit", "one", uuidfs_refused_fails=True).code != 0
