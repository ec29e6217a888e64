"""Power cuts at random moments within the work, and a boot after each.

`UUIDFS_HOST_CUTS` says how many of each (3), `UUIDFS_HOST_SEED` which. The work goes on in a
loop, so that a cut always falls into it. What each cut left is printed."""

from pathlib import Path

import pytest

from tests.host import states, world
from tests.host.conftest import NewMachine
from tests.host.cuts import SEED, Picture, after_cuts
from tests.host.machine import Machine

pytestmark = pytest.mark.host

# Without a new Python for each command, which is most of what a short command does.
CONVERT = """
from uuidfs.cli.app import app
while True:
    for word in "convert", "revert":
        app([word, "--all"], standalone_mode=False)
"""
COLD = (world.COLD, f"{world.COLD}2")
RENAME = (
    f"while virsh domrename {COLD[0]} {COLD[1]} && virsh domrename {COLD[1]} {COLD[0]}; do :; done"
)
SNAPSHOTS = {COLD[0]: ["one", "three", "two"], COLD[1]: ["one", "three", "two"], "web": ["live"]}


def repaired(machine: Machine) -> None:
    """Every promise is kept, or is after a repair."""
    found = machine.run("uuidfs check")
    print(f", check {found.code}", end="")
    if found.code:
        print(f" ({len(found.out.splitlines())} lines)", end="")
        machine.run("uuidfs check --repair")
        machine.do("uuidfs check")
    assert machine.do("systemctl --failed --no-legend --plain") == ""


def metadata(machine: Machine, *domains: str) -> None:
    """libvirt itself knows all snapshots, and the checkpoint: at once, or when it has read again
    what was repaired."""
    if not _known(machine, domains):
        print(", known after a restart of libvirtd", end="")
        machine.do("systemctl restart libvirtd")
        assert _known(machine, domains)


def _known(machine: Machine, domains: tuple[str, ...]) -> bool:
    return all(
        machine.do(f"virsh -q snapshot-list {name} --name").split() == SNAPSHOTS[name]
        and machine.do(f"virsh -q checkpoint-list {name} --name").split() == ["c1"] * (name in COLD)
        for name in domains
    )


def test_convert_and_revert(new_host: NewMachine) -> None:
    print(f"\nseed {SEED}")
    before: list[Picture] = []

    def prepare(machine: Machine) -> None:
        before[:] = [Picture(machine)]
        machine.do(
            "systemctl disable -q --now uuidfs; cat >/root/loop.py; sync", data=CONVERT.encode()
        )

    for machine in after_cuts(new_host, prepare, "python3 /root/loop.py"):
        assert before[0].lost(Picture(machine)) == []
        repaired(machine)
        machine.do("uuidfs convert --all && uuidfs check")
        assert before[0].lost(Picture(machine)) == []
        metadata(machine, "cold", "web")
        machine.do("uuidfs revert --all")
        assert before[0].lost(Picture(machine)) == []
        assert world.names(machine)["links"] == []


def test_domrename_with_snapshots_and_checkpoints(new_host: NewMachine) -> None:
    print(f"\nseed {SEED}")
    before: list[Picture] = []

    def prepare(machine: Machine) -> None:
        before[:] = [Picture(machine, COLD)]

    for machine in after_cuts(new_host, prepare, RENAME):
        repaired(machine)
        (name,) = {*COLD} & {*world.domains(machine)}
        print(f", called {name}", end="")
        assert before[0].lost(Picture(machine, COLD)) == []
        metadata(machine, name, "web")


def test_a_domrename_on_a_plain_host_for_comparison(image: Path) -> None:
    """Without uuidfs: only recorded."""
    print(f"\nseed {SEED}")
    before: list[Picture] = []
    make = states.maker(image, states.ready(image))

    def prepare(machine: Machine) -> None:
        before[:] = [Picture(machine, COLD)]

    for machine in after_cuts(make, prepare, RENAME):
        for name in sorted({*COLD} & {*world.domains(machine)}):
            for kind in "snapshot", "checkpoint":
                known = machine.run(f"virsh -q {kind}-list {name} --name").out.split()
                print(f", {name} {kind}s {' '.join(known) or 'none'}", end="")
        print(f", lost {before[0].lost(Picture(machine, COLD))}", end="")


def test_a_local_migration(new_host: NewMachine) -> None:
    print(f"\nseed {SEED}")
    before: list[Picture] = []

    def prepare(machine: Machine) -> None:
        before[:] = [Picture(machine)]

    work = "while uuidfs local-migrate web; do :; done"
    for machine in after_cuts(new_host, prepare, work):
        machine.until("virsh -q domstate web | grep running")  # autostart
        world.goes_on(machine, "web")
        repaired(machine)
        assert before[0].lost(Picture(machine)) == []
        metadata(machine, "cold", "web")
        machine.do("uuidfs local-migrate web")
        world.goes_on(machine, "web")


@pytest.mark.parametrize("what", ["upgrade", "install and remove"])
def test_dpkg(image: Path, deb: Path, newer_deb: Path, what: str) -> None:
    print(f"\nseed {SEED}")
    before: list[Picture] = []
    old, new = (f"dpkg -i /root/deb/{each.name}" for each in (deb, newer_deb))
    state = states.installed(image, deb) if what == "upgrade" else states.ready(image)
    other = old if what == "upgrade" else "dpkg --remove uuidfs"

    def prepare(machine: Machine) -> None:
        before[:] = [Picture(machine)]
        machine.put([deb, newer_deb], "/root/deb")
        machine.do("sync")

    work = f"while {new} && {other}; do :; done"
    for machine in after_cuts(states.maker(image, state), prepare, work):
        assert before[0].lost(Picture(machine)) == []
        machine.run("dpkg --configure -a")
        machine.do(new)
        assert "ii" in machine.do("dpkg -l uuidfs")
        repaired(machine)
        assert machine.do("systemctl is-active uuidfs").strip() == "active"
        assert before[0].lost(Picture(machine)) == []
        machine.do("dpkg --purge uuidfs")
        assert before[0].lost(Picture(machine)) == []
        assert world.names(machine)["links"] == []
