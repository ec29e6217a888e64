"""libvirtd killed at each file operation of a domrename: one domain, one name, all snapshots."""

import os
import re
import shutil
import subprocess
import time

import pytest

from tests.live import guest
from tests.live.conftest import MakeHost
from tests.live.private_host import SOCKET, PrivateHost
from tests.live.reconciler import Reconciler
from tests.live.trace import traced

UUID = guest.uuid(1)
EVERY = os.environ.get("UUIDFS_LIVE_ALL") == "1"
STRIDE = 1 if EVERY else 3

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")


def prepare(host: PrivateHost) -> None:
    """A domain ``old`` with two snapshots and two checkpoints, started automatically."""
    host.path("/run/domain.xml").write_text(guest.domain("old", 1))
    host.virsh("define", "/run/domain.xml").ok()
    for snapshot in ("s1", "s2"):
        host.virsh("snapshot-create-as", "old", snapshot).ok()
    for checkpoint, parent in (("c1", None), ("c2", "c1")):
        host.path("/run/checkpoint.xml").write_text(guest.checkpoint(checkpoint, parent))
        host.virsh("checkpoint-create", "old", "/run/checkpoint.xml", "--redefine").ok()
    host.virsh("autostart", "old").ok()


def forget(host: PrivateHost) -> None:
    """Back to an empty host with a running daemon."""
    for name in host.virsh("list", "--all", "--name").ok().out.split():
        host.virsh("autostart", name, "--disable")
        host.virsh("destroy", name)
        host.virsh("undefine", name, "--snapshots-metadata", "--checkpoints-metadata", "--nvram")
    for part in ("etc/qemu", "lib/qemu/snapshot", "lib/qemu/checkpoint", "log/qemu", "lib/by-uuid"):
        for path in (host.root / part).glob("*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    host.restart()


Call = tuple[str, int]
"""A system call and which of its kind in the rename, from 1: so strace counts."""


def rename_under_strace(host: PrivateHost, kill_at: Call | None) -> str:
    """domrename with strace on libvirtd; returns its trace."""
    inject = [] if kill_at is None else ["-e", f"inject={kill_at[0]}:signal=KILL:when={kill_at[1]}"]
    return traced(
        host, lambda: host.virsh("domrename", "old", "new"), inject, killed=kill_at is not None
    )


def seen(host: PrivateHost) -> tuple[list[str], list[str], list[str]]:
    """Names with the domain's UUID, its snapshots and its checkpoints."""
    names = host.virsh("list", "--all", "--name").ok().out.split()
    snapshots = host.virsh("snapshot-list", UUID, "--name").out.split() if names else []
    checkpoints = host.virsh("checkpoint-list", UUID, "--name").out.split() if names else []
    return names, sorted(snapshots), sorted(checkpoints)


def undisturbed(host: PrivateHost) -> str:
    """The trace of a rename that comes to its end; the host is empty before and after it."""
    prepare(host)
    trace = rename_under_strace(host, None)
    forget(host)
    return trace


def steps(host: PrivateHost) -> list[Call]:
    """The calls of a rename that is not disturbed."""
    trace = undisturbed(host)
    found: list[tuple[str, str]] = re.findall(r"^(\d+) +(\w+)\(.*$", trace, re.MULTILINE)
    thread = next(line.split()[0] for line in trace.splitlines() if "/new.xml" in line)
    names = [name for number, name in found if number == thread]
    return [(name, names[: index + 1].count(name)) for index, name in enumerate(names)]


def killed(host: PrivateHost, call: Call) -> bool:
    """Let a rename be killed at a call; tells whether it was. On a busy machine a daemon takes its
    time to die."""
    rename_under_strace(host, call)
    process = host.path(f"/proc/{host.libvirtd.pid}")
    for _ in range(100):
        if not process.exists():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("by", ["check at boot", "reconciler"])
def test_one_domain_one_name_all_snapshots(
    make_host: MakeHost, uuidfs_works: None, by: str
) -> None:
    plain, host = make_host(), make_host()
    worse = []
    calls = steps(host)
    assert len(calls) > 15
    for call in calls[::STRIDE]:
        for one in (host, plain):
            prepare(one)
        host.uuidfs("convert", "--all").ok()
        if by == "reconciler":
            with Reconciler(host) as reconciler:
                assert killed(host, call)
                reconciler.settle(clean_only=True)
        else:
            assert killed(host, call)
            repaired = host.uuidfs("check", "--repair")
            assert repaired.code in {0, 3}, repaired
            assert host.uuidfs("convert", "--all").code == 0
        assert killed(plain, call)
        for one in (host, plain):
            one.libvirtd.start()
        names, snapshots, checkpoints = seen(host)
        assert names in (["old"], ["new"]), f"killed at {call}: {names}"
        assert snapshots == ["s1", "s2"], f"killed at {call}: {snapshots}"
        assert checkpoints == ["c1", "c2"], f"killed at {call}: {checkpoints}"
        if (was := seen(plain)) != (names, snapshots, checkpoints):
            worse.append(f"killed at {call}: without uuidfs {was}")
        for one in (host, plain):
            forget(one)
    print(f"{len(calls[::STRIDE])} of {len(calls)} calls; otherwise without uuidfs: {len(worse)}")
    print("\n".join(worse))
    assert worse, "a plain host loses something too, or this test sees nothing"


# What systemd does at boot: it listens on the socket of a daemon that waits for this check.
SILENT = f"""
import os, socket, time
os.makedirs("/run/libvirt", exist_ok=True)
silent = socket.socket(socket.AF_UNIX)
silent.bind("/run/libvirt/{SOCKET}")
silent.listen(8)
print("listening", flush=True)
time.sleep(60)
"""


def test_the_check_at_boot_does_not_wait_for_a_daemon_that_waits_for_it(
    host: PrivateHost, uuidfs_works: None
) -> None:
    prepare(host)
    host.uuidfs("convert", "--all").ok()
    new = guest.domain("new", 1)
    host.path("/etc/libvirt/qemu/new.xml").write_text(new)
    host.libvirtd.kill()
    host.path(f"/run/libvirt/{SOCKET}").unlink(missing_ok=True)
    command = [
        "nsenter",
        "-m",
        "-p",
        "-n",
        "-t",
        str(host.keeper_pid),
        "--",
        "python3",
        "-c",
        SILENT,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as silent:
        try:
            assert silent.stdout is not None
            assert silent.stdout.readline() == "listening\n"
            began = time.monotonic()
            assert host.uuidfs("check", "--repair").code in {0, 3}
            assert time.monotonic() - began < 30  # the daemon would be silent for ever
        finally:
            host.run("pkill", "-f", "silent.listen")
    host.path(f"/run/libvirt/{SOCKET}").unlink()
    host.libvirtd.start()
    assert seen(host)[0] == ["new"]
