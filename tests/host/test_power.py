"""Power cuts at random moments within the work, and a boot after each.

`UUIDFS_HOST_CUTS` says how many of each (3), `UUIDFS_HOST_SEED` which. The work goes on in a
loop, so that a cut always falls into it. What each cut left is printed."""

import shutil
from pathlib import Path

import pytest

from tests.host import states, world
from tests.host.cuts import PHASE, Picture, after_cuts
from tests.host.host import Host
from tests.host.states import NewHost
from tests.support.process import run

pytestmark = pytest.mark.host

# Without a new Python for each command, which is most of what a short command does.
CONVERT = f"""
from uuidfs.cli.app import app
while True:
    for word in "convert", "revert":
        print("{PHASE}" + word, flush=True)
        app([word, "--all"], standalone_mode=False)
"""
COLD = (world.COLD, f"{world.COLD}2")
RENAME = (
    f"echo '{PHASE}domrename'; "
    f"while virsh domrename {COLD[0]} {COLD[1]} && virsh domrename {COLD[1]} {COLD[0]}; do :; done"
)
SNAPSHOTS = {COLD[0]: ["one", "three", "two"], COLD[1]: ["one", "three", "two"], "web": ["live"]}
# An archive in a directory, for apt. What it knows of Debian's would only cost it time.
ARCHIVE = """set -e
rm -rf /var/lib/apt/lists /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/deb ./' >/etc/apt/sources.list
apt-get -q update; sync"""
APT = "DEBIAN_FRONTEND=noninteractive apt-get -q -y"


def stand(host: Host, *names: str) -> None:
    """Autostarted guests run, and are then suspended: each takes a third of an emulated CPU, and
    so what follows would take three times as long."""
    if host.emulated:
        for name in names:
            host.until(f"virsh -q domstate {name} | grep running")
            world.goes_on(host, name)
            host.do(f"virsh -q suspend {name}")


def repaired(host: Host) -> None:
    """Every promise is kept, or is after a repair."""
    found = host.run("uuidfs check")
    print(f", check {found.code}", end="")
    if found.code:
        print(f" ({len(found.out.splitlines())} lines)", end="")
        host.run("uuidfs check --repair")
        host.do("uuidfs check")
    assert host.do("systemctl --failed --no-legend --plain") == ""


def metadata(host: Host, *domains: str) -> None:
    """libvirt itself knows all snapshots, and the checkpoint: at once, or when it has read again
    what was repaired."""
    if not _known(host, domains):
        print(", known after a restart of libvirtd", end="")
        host.do("systemctl restart libvirtd")
        assert _known(host, domains)


def _known(host: Host, domains: tuple[str, ...]) -> bool:
    return all(
        host.do(f"virsh -q snapshot-list {name} --name").split() == SNAPSHOTS[name]
        and host.do(f"virsh -q checkpoint-list {name} --name").split() == ["c1"] * (name in COLD)
        for name in domains
    )


def test_convert_and_revert(new_host: NewHost) -> None:
    before: list[Picture] = []

    def prepare(machine: Host) -> None:
        before[:] = [Picture(machine)]
        machine.do(
            "systemctl disable -q --now uuidfs; cat >/root/loop.py; sync", data=CONVERT.encode()
        )

    def look(host: Host) -> None:
        stand(host, "web", "db")
        assert before[0].lost(Picture(host)) == []
        repaired(host)
        host.do("uuidfs convert --all && uuidfs check")
        assert before[0].lost(Picture(host)) == []
        metadata(host, "cold", "web")
        host.do("uuidfs revert --all")
        assert before[0].lost(Picture(host)) == []
        assert world.names(host)["links"] == []

    after_cuts(new_host, prepare, "python3 /root/loop.py", look, pause=4)


def test_domrename_with_snapshots_and_checkpoints(new_host: NewHost) -> None:
    before: list[Picture] = []

    def prepare(machine: Host) -> None:
        before[:] = [Picture(machine, COLD)]

    def look(host: Host) -> None:
        stand(host, "web", "db")
        repaired(host)
        (name,) = {*COLD} & {*world.domains(host)}
        print(f", called {name}", end="")
        assert before[0].lost(Picture(host, COLD)) == []
        metadata(host, name, "web")

    after_cuts(new_host, prepare, RENAME, look, pause=4)


def test_a_domrename_on_a_plain_host_for_comparison(new_plain_host: NewHost) -> None:
    """Without uuidfs: only recorded."""
    before: list[Picture] = []

    def prepare(machine: Host) -> None:
        before[:] = [Picture(machine, COLD)]

    def look(host: Host) -> None:
        for name in sorted({*COLD} & {*world.domains(host)}):
            for kind in "snapshot", "checkpoint":
                known = host.run(f"virsh -q {kind}-list {name} --name").out.split()
                print(f", {name} {kind}s {' '.join(known) or 'none'}", end="")
        print(f", lost {before[0].lost(Picture(host, COLD))}", end="")

    after_cuts(new_plain_host, prepare, RENAME, look, pause=4)


def test_a_local_migration(new_host: NewHost) -> None:
    before: list[Picture] = []

    def prepare(machine: Host) -> None:
        before[:] = [Picture(machine)]

    def look(host: Host) -> None:
        host.until("virsh -q domstate web | grep running")  # autostart
        stand(host, "db")
        # The service brings home what was away: on a slow machine with its second try, a minute on.
        host.until("uuidfs check")
        world.goes_on(host, "web")
        repaired(host)
        assert before[0].lost(Picture(host)) == []
        metadata(host, "cold", "web")
        host.do("uuidfs local-migrate web")
        world.goes_on(host, "web")

    work = f"echo '{PHASE}local-migrate'; while uuidfs local-migrate web; do :; done"
    after_cuts(new_host, prepare, work, look)


@pytest.mark.parametrize("what", ["upgrade", "install", "remove"])
def test_apt(image: Path, deb: Path, newer_deb: Path, tmp_path: Path, what: str) -> None:
    """`apt upgrade` to this version from a lower one, and the way down; install, and remove, or the
    other way about: on an emulated machine one of them takes longer than some cuts do."""
    before: list[Picture] = []
    old, new = (each.name.split("_")[1] for each in (deb, newer_deb))
    index = packages(tmp_path, deb, newer_deb)

    def prepare(machine: Host) -> None:
        before[:] = [Picture(machine)]
        machine.put([deb, newer_deb], "/srv/deb")
        machine.do("cat >/srv/deb/Packages", data=index)
        machine.do(ARCHIVE)

    def look(host: Host) -> None:
        stand(host, "web", "db")
        assert before[0].lost(Picture(host)) == []
        print(f", {state(host)}", end="")
        host.run("dpkg --configure -a")
        # As an administrator goes on. A package that dpkg was unpacking is unpacked again, which
        # apt refuses ("Internal Error, No file name") of one whose removal was cut off.
        wanted = f"install uuidfs={new}"
        host.do(
            f"{APT} --allow-downgrades --reinstall {wanted} || {APT} --allow-downgrades {wanted}"
        )
        assert state(host) == f"ii {new}"
        repaired(host)
        assert host.do("systemctl is-active uuidfs").strip() == "active"
        assert before[0].lost(Picture(host)) == []
        metadata(host, "cold", "web")
        host.do(f"{APT} purge uuidfs")
        assert before[0].lost(Picture(host)) == []
        assert world.names(host)["links"] == []

    ways = {
        "upgrade": f"{APT} upgrade && dpkg -s uuidfs | grep -q 'ersion: {new}'",
        "downgrade": f"{APT} --allow-downgrades install uuidfs={old}",
        "install": f"{APT} install uuidfs",
        "remove": f"{APT} remove uuidfs",
    }
    back = {"upgrade": "downgrade", "install": "remove", "remove": "install"}[what]
    steps = " && ".join(f"echo '{PHASE}{way}' && {ways[way]}" for way in (what, back))
    make = states.hosts(image, None if what == "install" else deb)
    after_cuts(make, prepare, f"while {steps}; do :; done", look)


def state(host: Host) -> str:
    """What dpkg says of the package: its flags, and its version."""
    return host.run("dpkg-query -W -f '${db:Status-Abbrev}${Version}' uuidfs").out or "not there"


def packages(directory: Path, *debs: Path) -> bytes:
    """The index of an archive with these packages."""
    for deb in debs:
        shutil.copy(deb, directory)
    return run("dpkg-scanpackages", "--multiversion", ".", cwd=directory).ok().out.encode()
