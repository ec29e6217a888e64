"""Upgrades and removals where definitions name firmware files by UUID.

libvirt has to be asked for each definition, so a removal cannot take them back without a daemon.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import firmware
from tests.package.chroot.machine import CONFIGS, HOOKS, Machine, deb, difference, listing, run
from tests.support.process import wait_for

NVRAM = Path(firmware.NVRAM)
UUID = firmware.uuid(900)
BY_UUID = NVRAM / f"{UUID}_VARS.fd"
KEPT = Path(f"/var/lib/libvirt/by-uuid/kept/{UUID}/nvram")
MARK = b"of alpha"
LOGS = "/var/log/libvirt/qemu/"  # that of alpha is beta's in the end
PID = Path("/run/libvirtd.pid")


def stop_libvirtd() -> None:
    """Nobody answers from here on."""
    pid = int(PID.read_text())
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "libvirtd has ended")


@pytest.fixture
def alpha(machine: Machine) -> Iterator[Machine]:
    """A host with a UEFI domain whose file can be told from all others."""
    disk = Path("/var/lib/libvirt/images/900.qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", str(disk), "1M").ok()
    disk.chmod(0o666)
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(firmware.domain("alpha", 900))
        file.flush()
        machine.virsh("define", file.name).ok()
    machine.virsh("start", "alpha").ok()
    machine.virsh("destroy", "alpha").ok()
    with (NVRAM / "alpha_VARS.fd").open("r+b") as data:
        data.seek(-len(MARK), os.SEEK_END)
        data.write(MARK)
    yield machine
    if not PID.exists():
        machine.start_libvirtd()
    for name in ("alpha", "beta"):
        machine.virsh("undefine", name, "--nvram", "--managed-save")
        Path(f"/var/log/libvirt/qemu/{name}.log").unlink(missing_ok=True)
    disk.unlink()


def renamed(machine: Machine, version: str) -> None:
    """Installed, and alpha is beta now, with the path of its UUID."""
    run("apt-get", "-y", "install", str(deb(version))).ok()
    machine.virsh("domrename", "alpha", "beta").ok()
    run("uuidfs", "convert", "--all").ok()


def named(name: str) -> str:
    """The path in the definition on disk."""
    text = (CONFIGS / f"{name}.xml").read_text()
    return text.partition("</nvram>")[0].rpartition(">")[2]


def kept() -> bytes:
    """The end of the file that the definition leads to."""
    return Path(named("beta")).read_bytes()[-len(MARK) :]


def test_a_removal_names_libvirts_own_paths_again(alpha: Machine) -> None:
    before = listing()
    renamed(alpha, "new")
    assert named("beta") == str(BY_UUID)
    inode = BY_UUID.stat().st_ino
    said = run("apt-get", "-y", "purge", "uuidfs").ok()
    assert "ended with exit code" not in said.err
    assert named("beta") == f"{NVRAM}/beta_VARS.fd"
    assert (NVRAM / "beta_VARS.fd").stat().st_ino == inode
    assert kept() == MARK
    assert alpha.plain()
    alpha.restart_libvirtd()
    alpha.virsh("domrename", "beta", "alpha").ok()
    left = [
        line
        for line in difference(before, listing())
        if not line.startswith((f"{NVRAM}/", f"{CONFIGS}/alpha.xml", LOGS))
    ]
    assert left == []


@pytest.mark.parametrize("gone", [True, False], ids=["ended", "hung"])
def test_a_removal_without_an_answer_fails_nothing_and_loses_nothing(
    alpha: Machine, gone: bool
) -> None:
    """The definitions stay, and go on to work; an installation has the rest again."""
    renamed(alpha, "new")
    if gone:
        stop_libvirtd()
    else:
        os.kill(int(PID.read_text()), signal.SIGSTOP)
    try:
        said = run("apt-get", "-y", "purge", "uuidfs", timeout=300).ok()
    finally:
        if not gone:
            os.kill(int(PID.read_text()), signal.SIGCONT)
    print(said.out, said.err)
    assert named("beta") == str(BY_UUID)
    assert kept() == MARK
    assert not (HOOKS / "qemu").exists()
    assert not any((CONFIGS / f"{name}.xml").is_symlink() for name in (*alpha.names, "beta"))
    if gone:
        alpha.start_libvirtd()
    alpha.virsh("start", "beta").ok()  # without uuidfs
    alpha.virsh("destroy", "beta").ok()
    assert kept() == MARK
    run("apt-get", "-y", "install", str(deb("new"))).ok()
    assert run("uuidfs", "check").ok().out == "nothing found\n"
    run("apt-get", "-y", "purge", "uuidfs").ok()
    assert named("beta") == f"{NVRAM}/beta_VARS.fd"
    assert kept() == MARK
    assert alpha.plain()


def test_an_upgrade_keeps_a_path_of_a_uuid(alpha: Machine) -> None:
    renamed(alpha, "old")
    run("apt-get", "-y", "install", str(deb("new"))).ok()
    run("uuidfs", "convert", "--all").ok()
    assert run("uuidfs", "check").ok().out == "nothing found\n"
    assert named("beta") == str(BY_UUID)
    assert kept() == MARK


def test_a_purge_removes_the_last_name_of_a_file_that_nobody_has(alpha: Machine) -> None:
    """Its domain was undefined with --nvram. It is a secret: not packed up, but told of."""
    renamed(alpha, "new")
    alpha.virsh("undefine", "beta", "--nvram").ok()
    assert not BY_UUID.exists()
    assert KEPT.exists()
    said = run("apt-get", "-y", "purge", "uuidfs").ok()
    assert alpha.plain()
    assert "what was kept of undefined domains' NVRAM" in said.out


def test_a_purge_leaves_the_last_name_of_a_file_of_a_domain(alpha: Machine) -> None:
    """Somebody has removed the file, and there is no daemon to be asked for its path."""
    renamed(alpha, "new")
    BY_UUID.unlink()
    stop_libvirtd()
    said = run("apt-get", "-y", "purge", "uuidfs").ok()
    assert f"{KEPT.parent} stays" in said.out
    assert KEPT.read_bytes().endswith(MARK)
    KEPT.rename(BY_UUID)
    shutil.rmtree(KEPT.parents[2])
    alpha.start_libvirtd()
