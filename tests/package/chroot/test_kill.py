"""dpkg and its maintainer scripts killed together at each command of theirs, and run again.

The scripts of the installed package get a trap in front, for bash: it counts commands, and at
the one that is asked for kills everything that dpkg has started, and dpkg. Which system call of
uuidfs itself a kill hits is the business of tests/crash.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.package.chroot.machine import CONFIGS, HOOKS, Machine, deb, difference, listing, run

INFO = Path("/var/lib/dpkg/info")
LIFECYCLE = Path("/usr/libexec/uuidfs/lifecycle")
COUNT = Path("/run/kill.count")
AT = Path("/run/kill.at")
TRAP = Path("/run/kill.trap")
# The scripts are in a process group with dpkg: run() makes a session of its own.
TRAP_TEXT = f"""
set -o functrace
trap 'read -r kill_n <{COUNT}; kill_n=$((kill_n + 1)); echo $kill_n >{COUNT}
      read -r kill_at <{AT}; [ $kill_n -ne $kill_at ] || kill -KILL 0' DEBUG
"""
STEPS = int(os.environ.get("UUIDFS_PACKAGE_STEPS", "1"))
NEVER = 1_000_000


def arm(*scripts: Path) -> None:
    """Put the trap in front of scripts."""
    TRAP.write_text(TRAP_TEXT)
    for script in scripts:
        text = script.read_text()
        if str(TRAP) not in text:
            lines = text.split("\n")
            assert lines[0] == "#!/bin/sh"
            lines[0] = f"#!/bin/bash\n. {TRAP}"
            script.write_text("\n".join(lines))


def disarm() -> None:
    """From here on nothing is killed."""
    AT.write_text(f"{NEVER}\n")
    COUNT.write_text("0\n")


def killed_at(number: int, *command: str) -> bool:
    """Run dpkg with the kill armed; True when it was killed, False when it came to its end."""
    disarm()
    AT.write_text(f"{number}\n")
    try:
        done = run(*command)
    finally:
        reached = int(COUNT.read_text() or 0)
        disarm()
    if reached < number:
        assert done.code == 0, done
        return False
    assert done.code == -9, done
    return True


def each(
    machine: Machine,
    prepare: Callable[[], None],
    command: tuple[str, ...],
    finish: Callable[[], None],
) -> int:
    """Kill ``command`` at each of its commands in turn, look at the host, and finish."""
    number = 1
    while True:
        prepare()
        if not killed_at(number, *command):
            finish()
            print(f"{' '.join(command)}: {number - 1} commands, every {STEPS}. was killed")
            return (number - 1) // STEPS
        machine.check_names()
        machine.restart_libvirtd()
        assert machine.domains() == machine.names, f"killed at command {number}"
        finish()
        number += STEPS


@pytest.fixture
def plain(machine: Machine) -> Machine:
    """A plain host, and nothing armed."""
    disarm()
    return machine


def installed() -> str:
    return run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "uuidfs").out


def converted(machine: Machine, version: str) -> None:
    """``dpkg --configure -a`` has to be enough."""
    run("dpkg", "--configure", "-a").ok()
    assert installed() == f"ii {version}"
    assert machine.converted()
    assert (HOOKS / "qemu").exists()
    assert not Path("/run/uuidfs/reload-owed").exists()
    assert run("uuidfs", "check").ok().out == "nothing found\n"


def test_an_installation(plain: Machine) -> None:
    def prepare() -> None:
        if installed():
            run("dpkg", "--purge", "uuidfs").ok()
        run("dpkg", "--unpack", str(deb("old"))).ok()
        arm(INFO / "uuidfs.postinst", LIFECYCLE)

    kills = each(
        plain, prepare, ("dpkg", "--configure", "uuidfs"), lambda: converted(plain, "0.1.0-1~1old")
    )
    assert kills > 20 // STEPS


def test_an_upgrade(plain: Machine) -> None:
    def prepare() -> None:
        run("dpkg", "--install", str(deb("old"))).ok()
        run("uuidfs", "revert", "vm0007", "vm0008").ok()  # as if the layout had changed
        arm(INFO / "uuidfs.prerm")

    def again() -> None:
        run("dpkg", "--install", str(deb("new"))).ok()
        converted(plain, "0.1.0-1~2new")

    # dpkg runs the old prerm, then the new postinst, which cannot be armed before it is there.
    assert each(plain, prepare, ("dpkg", "--install", str(deb("new"))), again) > 1 // STEPS

    def unpacked() -> None:
        run("dpkg", "--install", str(deb("old"))).ok()
        run("uuidfs", "revert", "vm0007", "vm0008").ok()
        run("dpkg", "--unpack", str(deb("new"))).ok()
        arm(INFO / "uuidfs.postinst", LIFECYCLE)

    kills = each(
        plain, unpacked, ("dpkg", "--configure", "uuidfs"), lambda: converted(plain, "0.1.0-1~2new")
    )
    assert kills > 20 // STEPS


def test_an_upgrade_to_another_layout(plain: Machine) -> None:
    def prepare() -> None:
        if installed():
            run("dpkg", "--purge", "uuidfs").ok()
        run("dpkg", "--install", str(deb("layout"))).ok()
        arm(LIFECYCLE)  # the new version's preinst is that one command

    def again() -> None:
        run("dpkg", "--install", str(deb("new"))).ok()
        converted(plain, "0.1.0-1~2new")

    kills = each(plain, prepare, ("dpkg", "--install", str(deb("new"))), again)
    assert kills > 20 // STEPS


def test_a_removal(plain: Machine) -> None:
    def prepare() -> None:
        run("dpkg", "--install", str(deb("new"))).ok()
        arm(INFO / "uuidfs.prerm", INFO / "uuidfs.postrm", LIFECYCLE)

    def again() -> None:
        run("dpkg", "--remove", "uuidfs").ok()
        assert installed().startswith("rc ")
        assert plain.plain()
        assert not (HOOKS / "qemu").exists()

    assert each(plain, prepare, ("dpkg", "--remove", "uuidfs"), again) > 8 // STEPS


def test_a_removal_that_was_killed_can_be_taken_back(plain: Machine) -> None:
    for number in range(1, NEVER, max(5, STEPS)):
        run("dpkg", "--install", str(deb("new"))).ok()
        arm(INFO / "uuidfs.prerm", INFO / "uuidfs.postrm", LIFECYCLE)
        if not killed_at(number, "dpkg", "--remove", "uuidfs"):
            return
        run("dpkg", "--install", str(deb("new"))).ok()
        converted(plain, "0.1.0-1~2new")


def test_a_purge(plain: Machine) -> None:
    before = listing()

    def prepare() -> None:
        run("dpkg", "--install", str(deb("new"))).ok()
        trash = CONFIGS / "by-uuid/trash"
        entry = trash / "11111111-2222-4333-8444-555555555555~20260101T000000~undefined"
        entry.mkdir(parents=True, mode=0o755)
        (entry / "11111111-2222-4333-8444-555555555555.xml").write_text("<domain/>\n")
        run("dpkg", "--remove", "uuidfs").ok()
        arm(INFO / "uuidfs.postrm")

    def again() -> None:
        run("dpkg", "--purge", "uuidfs").ok()
        archives = list(Path("/var/backups").glob("uuidfs*"))
        listed = [run("tar", "-tzf", str(archive)).ok().out for archive in archives]
        assert any("1111-2222-4333-8444-555555555555.xml" in text for text in listed), listed
        for archive in archives:
            archive.unlink()
        assert difference(before, listing()) == []

    assert each(plain, prepare, ("dpkg", "--purge", "uuidfs"), again) > 8 // STEPS


def test_dpkg_killed_while_it_moves_files(plain: Machine) -> None:
    """At renames of dpkg's own, of which an upgrade makes two hundred; it says what to do then."""
    for number in range(1, NEVER, 16 * STEPS):
        run("dpkg", "--install", str(deb("old"))).ok()
        done = subprocess.run(
            [
                "strace",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=rename",
                "-e",
                f"inject=rename:signal=KILL:when={number}",
                "dpkg",
                "--install",
                deb("new"),
            ],
            capture_output=True,
            check=False,
            cwd="/",
        )
        plain.check_names()
        assert run("dpkg", "--install", str(deb("new"))).ok()
        converted(plain, "0.1.0-1~2new")
        if done.returncode == 0:
            assert number > 1
            return
