"""What the reconciler removes after its time, under clocks that are wrong."""

import os
from dataclasses import dataclass

import pytest

from tests.conftest import Build
from tests.support.trees import Domain, Tree, uuid_for
from tests.support.truth import trashed
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert, revert
from uuidfs.layout.connections import system
from uuidfs.layout.places import RETENTION_FILE, Layout
from uuidfs.trash.ages import DAY, Clock
from uuidfs.trash.retention import Expired, expire

MONTH = 30 * DAY


@dataclass
class Host:
    """A host with one file in the trash, and its clocks."""

    layout: Layout
    tree: Tree
    wall: float = 1.8e9
    up: float = 100.0

    def look(self, *, logs: float | None = None) -> Expired:
        clock = Clock(self.wall, self.up, self.up)
        return expire(self.layout, MONTH, logs, Options(), clock=lambda: clock)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds

    def reboot(self, wall: float) -> None:
        self.wall, self.up = wall, 20.0


@pytest.fixture
def host(make_tree: Build) -> Host:
    tree = make_tree(Domain("web", uuid_for("web"), snapshots=("s1", "s2")))
    layout = system(os.fspath(tree.host.root))
    convert(layout, Options())
    (tree.host.snapshot / "web/s2.xml").unlink()
    convert(layout, Options())
    assert len(trashed(tree.host)) == 1
    return Host(layout, tree)


def test_it_goes_after_its_retention_over_reboots(host: Host) -> None:
    assert host.look().trash.removed == ()
    for _ in range(29):
        host.run(DAY / 2)
        assert host.look().trash.removed == ()
        host.reboot(host.wall + DAY / 2)
        assert host.look().trash.removed == ()
    host.run(DAY + 600)
    done = host.look()
    assert len(done.trash.removed) == 1
    assert done.told is None
    assert trashed(host.tree.host) == []


def test_a_clock_400_days_ahead_for_eight_seconds_empties_nothing(host: Host) -> None:
    host.look()
    host.run(8)
    host.wall += 400 * DAY
    done = host.look()
    assert done.told is not None
    assert "400 days" in done.told
    host.wall -= 400 * DAY
    host.run(2 * DAY)
    assert host.look().trash.removed == ()


def test_what_was_trashed_by_a_dead_clock_stays_when_the_clock_is_right(host: Host) -> None:
    host.reboot(9.5e8)
    host.look()
    host.run(10)
    host.wall = 1.8e9
    for _ in range(29):
        assert host.look().trash.removed == ()
        host.run(DAY)
    host.run(2 * DAY)
    assert len(host.look().trash.removed) == 1


def test_a_host_that_boots_with_a_clock_40_days_ahead_keeps_it_for_another_day(host: Host) -> None:
    host.look()
    host.reboot(host.wall + 40 * DAY)
    assert host.look().trash.removed == ()
    host.run(3600)
    host.wall -= 40 * DAY
    host.look()
    host.run(2 * DAY)
    assert host.look().trash.removed == ()


@pytest.mark.parametrize("text", [b"", b"garbage", b'{"version": 1, "seen": 3}', b'{"last": []}'])
def test_without_a_record_everything_is_new(host: Host, text: bytes) -> None:
    host.look()
    record = host.tree.host.root / "var/lib/libvirt/by-uuid" / RETENTION_FILE
    assert record.stat().st_mode & 0o777 == 0o600
    record.write_bytes(text)
    host.run(40 * DAY)
    assert host.look().trash.removed == ()
    host.run(40 * DAY)
    assert len(host.look().trash.removed) == 1
    host.look()
    assert not record.exists(), "nothing waits"


def test_what_cannot_be_noted_is_not_removed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.look()
    host.run(40 * DAY)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("uuidfs.trash.retention.write_whole", full)
        with pytest.raises(Exception, match="No space left"):
            host.look()
    assert len(trashed(host.tree.host)) == 1


def test_revert_leaves_no_record(host: Host) -> None:
    host.look()
    revert(host.layout, Options())
    assert not list((host.tree.host.root / "var/lib/libvirt").rglob(RETENTION_FILE))


def test_an_old_log_is_looked_at_twice(host: Host) -> None:
    uuid = uuid_for("gone")
    log = host.tree.host.store("log") / f"{uuid}.log"
    log.write_bytes(b"line\n")
    os.utime(log, (1e9, 1e9))
    assert host.look(logs=MONTH).logs is None
    host.run(DAY / 2)
    assert host.look(logs=MONTH).logs is None
    host.run(DAY)
    done = host.look(logs=MONTH).logs
    assert done is not None
    assert [domain.uuid for domain in done.domains] == [uuid]
    assert not log.exists()
