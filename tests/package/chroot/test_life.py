"""Install, upgrade, remove, purge of the real package on a host with 200 domains."""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.package.chroot.machine import (
    CONFIGS,
    HOOKS,
    OTHER_STORES,
    RUNNING,
    Machine,
    deb,
    difference,
    listing,
    run,
)
from tests.support.process import Done, wait_for

CONFFILES = "/var/lib/dpkg/info/uuidfs.conffiles"
FOREIGN = "#!/bin/sh\n# VFIO, not uuidfs\nexit 0\n"


def apt(*words: str, **env: str) -> Done:
    """apt-get as an administrator runs it; never asks, as standard input is empty."""
    return run("apt-get", "-y", "-o", "Dpkg::Use-Pty=0", *words, env=env).ok()


def reconciler() -> int | None:
    """The pid that ``uuidfs status`` tells of."""
    found = json.loads(run("uuidfs", "status", "vm0002", "--json").ok().out)
    running = found.get("reconciler")
    return running["pid"] if running else None


def pids() -> list[str]:
    """Of the QEMU processes."""
    return [Path(f"/run/libvirt/qemu/{name}.pid").read_text() for name in RUNNING]


@pytest.mark.parametrize("systemd", [True, False], ids=["systemd", "chroot"])
def test_installed_and_purged_leaves_the_system_as_it_was(machine: Machine, systemd: bool) -> None:
    if systemd:
        machine.enable_systemd()
    before = listing()

    said = apt("install", str(deb("new")))
    assert machine.converted()
    assert "200 domains converted" in said.out
    assert f"installed {HOOKS}/qemu" in said.out or "reloaded libvirtd" in said.out
    assert Path("/etc/systemd/system/multi-user.target.wants/uuidfs.service").is_symlink()
    assert run("uuidfs", "hook", "status").code == 0
    if systemd:
        wait_for(lambda: reconciler() is not None, "the reconciler runs")
    assert run("uuidfs", "check").ok().out == "nothing found\n"
    assert machine.domains() == machine.names

    apt("remove", "uuidfs")
    assert machine.plain()
    assert not (HOOKS / "qemu").exists()
    apt("purge", "uuidfs")
    assert difference(before, listing()) == []
    assert not Path("/run/uuidfs").exists()
    machine.restart_libvirtd()
    assert machine.domains() == machine.names
    machine.check_names()


def test_the_daemon_that_never_saw_a_hook_calls_it_at_the_next_start(machine: Machine) -> None:
    machine.restart_libvirtd()  # without any hook
    apt("install", str(deb("new")))
    machine.virsh("destroy", RUNNING[0]).ok()
    log = Path(f"/var/log/libvirt/qemu/{RUNNING[0]}.log")
    log.unlink()
    machine.virsh("start", RUNNING[0]).ok()
    assert log.is_symlink(), "made by the hook; no reconciler runs here"


def test_running_domains_go_on(machine: Machine) -> None:
    before = pids()
    for words in (("install", str(deb("old"))), ("install", str(deb("new"))), ("purge", "uuidfs")):
        apt(*words)
        assert pids() == before
        assert [machine.virsh("domstate", name).ok().out.strip() for name in RUNNING] == [
            "running"
        ] * 2


def test_an_upgrade_converts_what_has_come_meanwhile_and_restarts(machine: Machine) -> None:
    machine.enable_systemd()
    apt("install", str(deb("old")))
    wait_for(lambda: reconciler() is not None, "the reconciler runs")
    first = reconciler()
    Path("/run/systemctl.log").unlink()
    apt("install", str(deb("new")))
    wait_for(lambda: reconciler() not in {None, first}, "another reconciler runs")
    calls = Path("/run/systemctl.log").read_text().splitlines()
    verbs = [call for call in calls if "uuidfs.service" in call and "is-" not in call]
    assert ["stop" in verbs[0], "restart" in verbs[-1]] == [True, True], calls
    assert machine.converted()
    said = apt("install", "--allow-downgrades", str(deb("old")))
    assert "DOWNGRADED" in said.out
    assert machine.converted()
    apt("install", "--reinstall", str(deb("old")))
    assert machine.converted()


def test_what_was_plain_at_the_upgrade_is_converted(machine: Machine) -> None:
    apt("install", str(deb("old")))
    run("uuidfs", "revert", "--all").ok()
    assert machine.plain()
    apt("install", str(deb("new")))
    assert machine.converted()


@pytest.mark.parametrize("systemd", [True, False], ids=["systemd", "chroot"])
def test_a_version_with_another_layout_leaves_it_to_the_next(
    machine: Machine, systemd: bool
) -> None:
    """Up and down again: nobody knows the other one's layout, and nothing is lost."""
    if systemd:
        machine.enable_systemd()
    before = pids()
    plain = listing()
    apt("install", str(deb("layout")))
    assert machine.converted(OTHER_STORES)
    said = apt("install", str(deb("new")))
    assert "reverted" in said.out
    assert "200 domains converted" in said.out
    assert machine.converted()
    assert run("uuidfs", "check").ok().out == "nothing found\n"
    assert run("uuidfs", "hook", "status").code == 0
    machine.check_names()
    if systemd:
        wait_for(lambda: reconciler() is not None, "the reconciler runs")
    machine.restart_libvirtd()
    assert machine.domains() == machine.names

    apt("install", "--allow-downgrades", str(deb("layout")))
    assert machine.converted(OTHER_STORES)
    assert run("uuidfs", "check").ok().out == "nothing found\n"
    machine.check_names()
    assert pids() == before, "domains ran on"
    apt("purge", "uuidfs")
    assert machine.plain()
    assert difference(plain, listing()) == []


def test_a_foreign_hook_is_never_touched(machine: Machine) -> None:
    hook = HOOKS / "qemu"
    hook.write_text(FOREIGN)
    hook.chmod(0o750)
    before = hook.stat()
    for words in (
        ("install", str(deb("old"))),
        ("install", str(deb("new"))),
        ("remove", "uuidfs"),
        ("install", str(deb("new"))),
        ("purge", "uuidfs"),
    ):
        apt(*words)
        assert (HOOKS / "qemu.d/uuidfs").exists() == (words[0] == "install")
        assert hook.read_text() == FOREIGN
        assert (hook.stat().st_ino, hook.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert [path.name for path in HOOKS.iterdir()] == ["qemu"]


def test_a_conversion_that_fails_is_told_and_fails_nothing(machine: Machine) -> None:
    store = CONFIGS / "by-uuid"
    store.write_text("somebody's file in the store's place\n")
    try:
        said = apt("install", str(deb("new")))
        assert 'uuidfs: "uuidfs convert --all" ended with exit code 1' in said.err
        assert str(store) in said.err
        assert run("dpkg-query", "-W", "-f", "${Status}", "uuidfs").out == "install ok installed"
        machine.check_names()
    finally:
        store.unlink()
        apt("install", "--reinstall", str(deb("new")))
    assert machine.converted()


def test_a_busy_domain_is_left_to_the_reconciler(machine: Machine) -> None:
    uuid = machine.names["vm0003"]
    lock = Path("/run/uuidfs/lock")
    lock.mkdir(parents=True, mode=0o700)
    Path("/run/uuidfs").chmod(0o700)
    with (lock / f"{uuid}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = apt("install", str(deb("new")))
    assert "ended with exit code 75" in said.err
    assert "vm0003" in said.err
    assert not (CONFIGS / "vm0003.xml").is_symlink()
    assert (CONFIGS / "vm0004.xml").is_symlink()


def test_nobody_is_asked_about_configuration_that_nobody_changed(machine: Machine) -> None:
    apt("install", str(deb("old")))
    files = [Path(path) for path in run("cat", CONFFILES).ok().out.split()]
    assert len(files) == 3
    assert all(path.read_text().startswith("# Of an old version.") for path in files)
    apt("install", str(deb("new")))  # a question would find the end of its input, and fail
    assert not any("Of an old version" in path.read_text() for path in files)
    assert not [left for path in files for left in path.parent.glob(f"{path.name}.dpkg-*")]


def test_configuration_files_are_kept_as_debian_says(machine: Machine) -> None:
    toml = Path("/etc/uuidfs/uuidfs.toml")
    apt("install", str(deb("old")))
    toml.write_text('[trash]\nretention = "90d"\n')
    apt("-o", "Dpkg::Options::=--force-confold", "install", str(deb("new")))
    assert "90d" in toml.read_text()
    apt("remove", "uuidfs")
    assert "90d" in toml.read_text()
    apt("install", str(deb("new")))
    assert '"90d"' in run("uuidfs", "config", "show").ok().out
    apt("purge", "uuidfs")
    assert not toml.parent.exists()


DOOMED = "11111111-2222-4333-8444-555555555555"


def fill_trash(machine: Machine) -> None:
    """Define a domain behind libvirt's back and take it away again, as its undefine does."""
    extra = CONFIGS / "doomed.xml"
    extra.write_text(
        (CONFIGS / "vm0005.xml")
        .read_text()
        .replace("vm0005", "doomed")
        .replace(machine.names["vm0005"], DOOMED)
    )
    run("uuidfs", "convert", "--all").ok()
    extra.unlink()
    run("uuidfs", "convert", "--all").ok()
    assert DOOMED in run("uuidfs", "trash", "list", "--json").ok().out


def test_a_purge_packs_up_what_is_in_the_trash(machine: Machine) -> None:
    apt("install", str(deb("new")))
    fill_trash(machine)
    apt("remove", "uuidfs")
    assert (CONFIGS / "by-uuid/trash").is_dir(), "until the purge"
    said = apt("purge", "uuidfs")
    assert machine.plain()
    [archive] = Path("/var/backups").glob("uuidfs-trash-*")
    assert str(archive) in said.out
    assert archive.stat().st_mode & 0o077 == 0
    assert f"{DOOMED}.xml" in run("tar", "-tzf", str(archive)).ok().out


def test_a_trash_that_cannot_be_packed_up_stays(machine: Machine) -> None:
    apt("install", str(deb("new")))
    fill_trash(machine)
    run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/var/backups").ok()
    try:
        said = apt("purge", "uuidfs")
    finally:
        run("umount", "/var/backups").ok()
    assert "could not be packed up and stays" in said.err
    assert list((CONFIGS / "by-uuid/trash").glob(f"{DOOMED}*/{DOOMED}.xml"))
    shutil.rmtree(CONFIGS / "by-uuid")
    assert machine.plain()


def test_a_removal_leaves_the_interlock_of_a_local_migration(machine: Machine) -> None:
    apt("install", str(deb("new")))
    with subprocess.Popen(["sleep", "1000"]) as owner:
        try:
            run("uuidfs", "session", "begin", "vm0009", "--pid", str(owner.pid)).ok()
            said = apt("purge", "uuidfs", UUIDFS_PATIENCE="1")
            assert "a local migration is under way" in said.err
            assert (HOOKS / "qemu").exists()
            assert list(Path("/run/uuidfs/local-migration").glob("*.json"))
            apt("install", str(deb("new")))
        finally:
            owner.kill()
    said = apt("purge", "uuidfs")
    assert "under way" not in said.err
    assert not (HOOKS / "qemu").exists()
    assert not Path("/run/uuidfs").exists()
    assert machine.plain()


def test_what_is_installed_is_what_runs(machine: Machine) -> None:
    apt("install", str(deb("new")))
    found = run("/usr/bin/python3", "-I", "-c", "import uuidfs; print(uuidfs.__file__)").ok().out
    assert found == "/usr/lib/python3/dist-packages/uuidfs/__init__.py\n"
    assert os.path.realpath("/usr/bin/uuidfs") == "/usr/bin/uuidfs"
    for page in (
        "man8/uuidfs.8",
        "man8/uuidfs-hook.8",
        "man8/uuidfs-virtiofsd.8",
        "man5/uuidfs.toml.5",
    ):
        assert Path(f"/usr/share/man/{page}.gz").exists()
    completed = subprocess.run(
        [
            "bash",
            "-c",
            """
            . /usr/share/bash-completion/completions/uuidfs
            COMP_WORDS=(uuidfs path vm001) COMP_CWORD=2
            _uuidfs_completion uuidfs
            printf '%s\\n' "${COMPREPLY[@]}"
        """,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout.split() == [f"vm001{n}" for n in range(10)]
