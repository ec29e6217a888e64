"""A running guest moves to a fresh QEMU process and does not notice."""

import json
import os
import random
import re
import shlex
import subprocess
import time

import pytest

from tests.live import guest
from tests.live.migration import (
    SESSIONS,
    UUID,
    at_home,
    begin,
    command,
    counting,
    counts,
    leftovers,
    phase,
    prepare,
    processes,
    uuidfs,
    wait_for_phase,
    went_on,
)
from tests.live.private_host import PrivateHost
from tests.live.reconciler import Reconciler
from tests.support.process import wait_for

SEED = int(os.environ.get("UUIDFS_SEED", "20261123"))
TRIPS = int(os.environ.get("UUIDFS_TRIPS", "6"))
HOOK_REFUSES = "local-migrate --recover"


@pytest.fixture(autouse=True)
def _able(uuidfs_works: None, host: PrivateHost) -> None:
    probe = host.run("/usr/bin/python3", "-c", "import libvirt")
    assert probe.code == 0, "python3-libvirt is not installed"


def views(host: PrivateHost, name: str = "a") -> dict[str, str]:
    """What virsh shows of a domain; the id is a new one with each process."""
    shown = {
        "live": host.virsh("dumpxml", name).ok().out,
        "inactive": host.virsh("dumpxml", name, "--inactive").ok().out,
        "info": host.virsh("dominfo", name).ok().out,
        "snapshots": host.virsh("snapshot-list", name).ok().out,
        "current": host.virsh("snapshot-current", name, "--name").out,
        "checkpoints": host.virsh("checkpoint-list", name).ok().out,
    }
    for snapshot in host.virsh("snapshot-list", name, "--name").ok().out.split():
        shown[f"snapshot {snapshot}"] = host.virsh("snapshot-dumpxml", name, snapshot).ok().out
    for point in host.virsh("checkpoint-list", name, "--name").ok().out.split():
        shown[f"checkpoint {point}"] = host.virsh("checkpoint-dumpxml", name, point).ok().out
    shown["live"] = re.sub(r" id='\d+'", "", shown["live"], count=1)
    shown["info"] = re.sub(r"(Id|CPU time): .*", "", shown["info"])
    return shown


def test_it_never_stops_counting_and_is_the_same_domain(host: PrivateHost) -> None:
    prepare(host, started=False)
    for snapshot in ("s1", "s2"):
        host.virsh("snapshot-create-as", "a", snapshot).ok()
    host.path("/run/c.xml").write_text(guest.checkpoint("c1"))
    host.virsh("checkpoint-create", "a", "/run/c.xml", "--redefine").ok()
    host.virsh("autostart", "a").ok()
    host.virsh("start", "a").ok()
    host.virsh("setmem", "a", "12MiB", "--config").ok()  # differs from the live one
    wait_for(lambda: counts(host), "the guest counts")
    # A console file is gone on with, so that nothing in it is lost: see docs/local-migration.md.
    uuidfs(host, "local-migrate", "a").ok()
    before, pids = views(host), {host.qemu_pid("a")}
    trips = []
    for _ in range(TRIPS):
        moved = json.loads(uuidfs(host, "local-migrate", "a", "--json").ok().out)["domains"][0]
        trips.append((round(moved["seconds"], 2), moved["downtimes"]))
        at_home(host)
        pids.add(host.qemu_pid("a"))
    assert views(host) == before
    assert len(pids) == TRIPS + 1, "a fresh process each time"
    print(f"{TRIPS} trips (s, ms): {trips}; largest gap {went_on(counts(host))} ticks of 55 ms")


def test_live_rename(host: PrivateHost) -> None:
    prepare(host)
    host.virsh("snapshot-create-as", "a", "s1", "--disk-only", "--no-metadata").ok()
    host.virsh("autostart", "a").ok()
    log = host.path("/var/log/libvirt/qemu/a.log").read_bytes()
    said = uuidfs(host, "rename", "a", "b", "--live").ok()
    assert said.out.startswith("b: moved in ")
    at_home(host, "b")
    assert host.virsh("list", "--all", "--name").ok().out.split() == ["b"]
    assert "Autostart:      enable" in host.virsh("dominfo", "b").ok().out
    assert host.path("/var/log/libvirt/qemu/b.log").read_bytes().startswith(log)
    assert not os.path.lexists(host.path("/var/log/libvirt/qemu/a.log"))
    assert not os.path.lexists(host.path("/etc/libvirt/qemu/a.xml"))
    went_on(counts(host))
    again = uuidfs(host, "rename", "b", "b", "--live")
    assert (again.code, again.out) == (1, "")
    assert "there is a domain 'b' already" in again.err


def test_rename_of_a_domain_that_is_off(host: PrivateHost) -> None:
    prepare(host, started=False)
    host.virsh("snapshot-create-as", "a", "s1").ok()
    uuidfs(host, "rename", "a", "b").ok()
    assert host.virsh("snapshot-list", "b", "--name").ok().out.split() == ["s1"]
    assert host.uuidfs("check").code == 0
    assert host.path("/etc/libvirt/qemu/b.xml").is_symlink()
    host.virsh("start", "b").ok()
    running = uuidfs(host, "rename", "b", "c")
    assert running.code == 1
    assert "--live" in running.err
    host.virsh("managedsave", "b").ok()
    saved = uuidfs(host, "rename", "b", "c")
    assert saved.code == 1
    assert "managedsave-remove" in saved.err


def test_what_is_off_paused_or_unknown_is_refused(host: PrivateHost) -> None:
    prepare(host, started=False)
    off = uuidfs(host, "local-migrate", "a")
    assert off.code == 1
    assert "it does not run" in off.err
    host.virsh("start", "a", "--paused").ok()
    assert "it is paused" in uuidfs(host, "local-migrate", "a").err
    assert uuidfs(host, "local-migrate", "nobody").code == 1
    host.virsh("resume", "a").ok()
    uuidfs(host, "hook", "remove").ok()
    assert "uuidfs hook install" in uuidfs(host, "local-migrate", "a").err
    assert leftovers(host) == []


def held_in(host: PrivateHost, wanted: str) -> int:
    """Begin a trip and kill its helper in a phase; returns the trip's pid inside."""
    running = begin(host, "local-migrate", "a", "--bandwidth", "4")
    wait_for_phase(host, wanted, running)
    wait_for(lambda: len(processes(host)) == 2, "the hop has begun")
    inside = int(re.findall(r'"pid": (\d+)', host.path(f"{SESSIONS}/{UUID}.json").read_text())[0])
    host.run("kill", "-KILL", str(inside)).ok()
    running.communicate()
    return inside


def test_no_second_copy_while_the_guest_is_in_the_peer(host: PrivateHost) -> None:
    prepare(host)
    host.virsh("autostart", "a").ok()
    held_in(host, "out")  # the daemons finish the hop without it
    wait_for(lambda: host.virsh("domstate", "a").out.strip() == "shut off", "hop 1 is over")
    refused = host.virsh("start", "a")
    assert refused.code == 1
    assert f"uuidfs: a runs in another QEMU process: it is in a local migration ({SESSIONS}" in (
        refused.err
    )
    assert HOOK_REFUSES in refused.err
    assert len(processes(host)) == 1
    host.restart()  # and its autostart
    time.sleep(1)
    assert host.virsh("domstate", "a").ok().out.strip() == "shut off"
    assert len(processes(host)) == 1
    counting(host)
    host.virsh("setmem", "a", "12MiB", "--config").ok()  # a file to fold
    busy = host.uuidfs("convert", "a")
    assert busy.code == 75
    assert "is in a local migration (phase out" in busy.err
    assert uuidfs(host, "local-migrate", "a").code == 75
    said = uuidfs(host, "local-migrate", "--recover").ok()
    assert said.out.startswith("a: moved in ")
    at_home(host)
    went_on(counts(host))
    host.virsh("destroy", "a").ok()
    host.virsh("start", "a").ok()  # the interlock is gone with the session


@pytest.mark.parametrize("wanted", ["begin", "out", "peer", "back", "home"])
@pytest.mark.parametrize("victim", ["helper", "peer daemon", "host's daemon"])
def test_killed_in_every_phase(host: PrivateHost, victim: str, wanted: str) -> None:
    prepare(host)
    host.virsh("snapshot-create-as", "a", "s1", "--disk-only").ok()
    running = begin(host, "local-migrate", "a", "--bandwidth", "4")
    wait_for_phase(host, wanted, running)
    if victim == "helper":
        inside = re.findall(r'"pid": (\d+)', host.path(f"{SESSIONS}/{UUID}.json").read_text())
        host.run("kill", "-KILL", inside[0]).ok()
    elif victim == "peer daemon":
        pid = host.path(f"{SESSIONS}/peer-{UUID}/peer.pid")
        if pid.exists():
            host.run("kill", "-KILL", pid.read_text().strip())
    else:
        host.libvirtd.kill()
        running.communicate()
        assert len(processes(host)) <= 2
        host.libvirtd.start()
    said = running.communicate()
    started = host.virsh("start", "a")
    assert started.code == 1, f"a second copy in {phase(host)}: {started}"
    recovered = uuidfs(host, "local-migrate", "--recover")
    assert recovered.code == 0, f"{said} {recovered}"
    at_home(host)
    assert host.virsh("snapshot-list", "a", "--name").ok().out.split() == ["s1"]
    went_on(counts(host))


@pytest.mark.parametrize("wanted", ["begin", "out", "peer", "back", "home"])
def test_destroyed_in_every_phase(host: PrivateHost, wanted: str) -> None:
    prepare(host)
    running = begin(host, "local-migrate", "a", "--bandwidth", "4")
    wait_for_phase(host, wanted, running)
    destroyed = host.virsh("destroy", "a")
    assert len(processes(host)) <= 2, "of which one never ran"
    said = running.communicate()
    uuidfs(host, "local-migrate", "--recover").ok()
    assert leftovers(host) == []
    state = host.virsh("domstate", "a").ok().out.strip()
    running_now = processes(host)
    assert (state, len(running_now)) in {("running", 1), ("shut off", 0)}, f"{destroyed} {said}"
    if state == "running":
        counting(host)
        went_on(counts(host))
    else:
        host.virsh("start", "a").ok()
        wait_for(lambda: len(processes(host)) == 1, "it starts as ever")


@pytest.mark.parametrize("seed", range(int(os.environ.get("UUIDFS_MOMENTS", "4"))))
def test_killed_at_random_moments(host: PrivateHost, seed: int) -> None:
    chance = random.Random(SEED + seed)
    prepare(host)
    running = begin(host, "local-migrate", "a")
    time.sleep(chance.uniform(0.2, 2.2))
    victim = chance.choice(("helper", "peer", "host"))
    print(f"seed {SEED + seed}: {victim} in {phase(host) or 'no session'}")
    if victim == "helper":
        host.run("pkill", "-KILL", "-f", "uuidfs local-migrate")
    elif victim == "peer":
        host.run("pkill", "-KILL", "-f", "(libvirtd|virtqemud).*peer-")
    else:
        host.libvirtd.kill()
        time.sleep(chance.uniform(0, 0.5))
        host.libvirtd.start()
    said = running.communicate()
    recovered = uuidfs(host, "local-migrate", "--recover")
    assert recovered.code == 0, f"{said} {recovered}"
    at_home(host)
    went_on(counts(host))


def test_the_reconciler_recovers_what_lost_its_owner(host: PrivateHost) -> None:
    prepare(host)
    host.virsh("snapshot-create-as", "a", "s1", "--disk-only").ok()
    program, env = command()
    with Reconciler(host, program, env):
        held_in(host, "out")
        wait_for(lambda: leftovers(host) == [], "the reconciler has it recovered")
        wait_for(lambda: host.uuidfs("check").code == 0, "all is caught up")
    at_home(host)
    assert host.virsh("snapshot-list", "a", "--name").ok().out.split() == ["s1"]
    went_on(counts(host))


def test_metadata_aside_outlives_a_boot(host: PrivateHost) -> None:
    """Power is lost while the guest is in the peer: /run is empty, and nothing of it runs."""
    prepare(host)
    host.virsh("snapshot-create-as", "a", "s1", "--disk-only").ok()
    before = host.virsh("snapshot-dumpxml", "a", "s1").ok().out
    held_in(host, "out")
    host.run("pkill", "-KILL", "libvirtd|virtqemud|qemu-system|virtlogd")
    for entry in ("uuidfs", "libvirt"):
        host.run("rm", "-rf", f"/run/{entry}")
    host.virtlogd.start()
    host.libvirtd.start()
    host.uuidfs("check", "--repair")
    assert host.virsh("snapshot-list", "a", "--name").ok().out.split() == []
    said = uuidfs(host, "local-migrate", "--recover").ok()
    assert said.out == "a: the guest has ended; its session is closed\n"
    assert host.virsh("snapshot-dumpxml", "a", "s1").ok().out == before
    assert leftovers(host) == []
    host.virsh("start", "a").ok()


def test_everybody_at_once(host: PrivateHost) -> None:
    """No deadlock: each waits or says busy, and the guest goes on."""
    prepare(host)
    lock = f"/run/uuidfs/lock/{UUID}.lock"
    with Reconciler(host):
        together = [
            begin(host, "local-migrate", "a"),
            begin(host, "local-migrate", "a", "--lock-timeout", "30"),
            begin(host, "convert", "--all"),
            begin(host, "lock", "a", "--timeout", "30", "--", "sleep", "0.2"),
            *(
                subprocess.Popen(
                    ["nsenter", "-m", "-p", "-n", "-t", str(host.keeper_pid), "--", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for words in (
                    ["flock", "--timeout", "30", lock, "sleep", "0.2"],
                    ["virsh", "setmem", "a", "12MiB", "--config"],
                    ["virsh", "snapshot-create-as", "a", "s", "--disk-only"],
                )
            ),
        ]
        ends = [(one.args, *one.communicate(timeout=300), one.returncode) for one in together]
        codes = [end[3] for end in ends]
        assert codes[0] in {0, 75}, ends[0]
        assert codes[1:5] == [0, 0, 0, 0], f"they wait for as long as they were told: {ends[1:5]}"
        assert codes[5] in {0, 1}, "virsh may find the domain off for the moment"
        wait_for(lambda: host.uuidfs("check").code == 0, "all is caught up")
    at_home(host)
    went_on(counts(host))


def test_a_helper_in_shell(host: PrivateHost) -> None:
    """As docs/local-migration.md describes it: lock, session, phases, end."""
    prepare(host)
    program, env = command()
    script = f"""set -eu
        exec 9>/run/uuidfs/lock/{UUID}.lock; flock 9
        read -r peer name <<EOF
$({shlex.join(program)} session begin a --locked --pid $$ --tool demo)
EOF
        test "$name" = a-incoming
        {shlex.join(program)} session phase a peer
        virsh setmem a 12MiB --config
        ! virsh start a
        code=0; {shlex.join(program)} convert a --lock-timeout 0 2>&1 || code=$?
        test $code = 75
        {shlex.join(program)} session list
        exec 9>&-
        {shlex.join(program)} session end a
        echo $peer
    """
    done = host.run("sh", "-c", script, env=env).ok()
    assert re.search(rf"{UUID}  a  peer  pid \d+ \(running\)  demo", done.out)
    assert host.path("/etc/libvirt/qemu/a.xml").is_symlink(), "caught up"
    peer = done.out.split()[-1]
    assert uuidfs(host, "lock", peer, "--", "sh", "-c", "echo $UUIDFS_UUID").out.strip() == UUID
    assert leftovers(host) == []
