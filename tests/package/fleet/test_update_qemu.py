"""The playbook update_qemu over hosts with real guests, by the real ansible-core."""

import json
from pathlib import Path

import pytest

from tests.live import guest
from tests.live.conftest import MakeHost
from tests.package.fleet.hosts import (
    Fleet,
    add_program,
    another_build,
    install_qemu,
    real_qemu,
    start_guest,
)
from tests.package.fleet.playing import Ansible

pytestmark = pytest.mark.live
# Ansible would carry this out if it took a guest's name for a template.
NAME = "{{ 6 * 7 }}"


@pytest.fixture
def fleet(ansible: Ansible, make_host: MakeHost, tmp_path: Path, uuidfs_works: None) -> Fleet:
    """Three hosts: one and two with a guest each that runs an old QEMU, three without guests."""
    found = Fleet(ansible, tmp_path)
    qemu = real_qemu()
    for name in ("one", "two", "three"):
        host = make_host()
        found.add(name, host)
        install_qemu(host, qemu)
        host.install_hook()
        add_program(host)
    start_guest(found.hosts["one"], NAME, 1)
    start_guest(found.hosts["two"], "b", 1)
    for host in found.hosts.values():
        install_qemu(host, another_build(qemu))
    return found


def order(text: str, *words: str) -> list[int]:
    """Where each of these stands."""
    places = [text.find(word) for word in words]
    assert -1 not in places, (words, text)
    return places


def test_a_fleet_is_updated_once(fleet: Fleet) -> None:
    report = fleet.work / "report.json"
    before = fleet.pids()

    dry = fleet.play("update_qemu", "--check", uuidfs_report=str(report)).ok()
    print(dry.text)
    assert fleet.pids() == before, "nothing moves"
    assert dry.changed() == {"one": 1, "two": 1, "three": 0}
    assert f"would move: {NAME}" in dry.text
    assert "would move: b" in dry.text
    said = json.loads(report.read_text())
    assert (said["version"], said["check"]) == (1, True)
    assert said["hosts"]["one"]["would_move"] == [{"name": NAME, "uuid": guest.uuid(1)}]
    assert said["hosts"]["three"]["state"] == "up to date"

    words = {"uuidfs_serial": [1, "100%"], "uuidfs_canary": "two"}
    done = fleet.play("update_qemu", uuidfs_report=str(report), **words).ok()
    print(done.text)
    after = fleet.pids()
    assert after["one"][NAME] != before["one"][NAME]
    assert after["two"]["b"] != before["two"]["b"]
    places = order(done.text, "two: 1 moved", "one: 1 moved", "three: 0 up to date")
    assert places[0] == min(places), "the canary first"
    said = json.loads(report.read_text())
    assert {name: one["state"] for name, one in said["hosts"].items()} == {
        "two": "moved",
        "one": "moved",
        "three": "up to date",
    }
    (moved,) = said["hosts"]["one"]["moved"]
    assert (moved["name"], len(moved["downtimes"])) == (NAME, 2)

    again = fleet.play("update_qemu").ok()
    assert again.changed() == {"one": 0, "two": 0, "three": 0}
    assert fleet.pids() == after
    assert "one: 1 up to date" in again.text
