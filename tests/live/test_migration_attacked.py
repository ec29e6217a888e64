"""Everybody who takes part in a trip is killed, stopped or hindered; the guest is one, and runs."""

import os
import signal
import time

import pytest

from tests.live.attack import (
    PEER,
    PEER_URI,
    PHASES,
    Attack,
    arrived,
    begun,
    ended,
    home,
    move,
    outside,
    pid_of,
    shareable,
    signal_to,
    start_counting,
)
from tests.live.migration import (
    HOPS,
    at_home,
    leftovers,
    phase,
    prepare,
    processes,
    uuidfs,
)
from tests.live.private_host import PrivateHost

FULL = os.environ.get("UUIDFS_FULL_MATRIX") == "1"

SLOW = ("--bandwidth", "4")

BOUND = 250.0  # seconds; what is said to take a few, on a machine that others use as well

ENDED = "has ended while it was moved"

# Which phases each takes part in.
PARTS = {
    "helper": PHASES,
    "peer daemon": PHASES,
    "host daemon": PHASES,
    "QEMU in the peer": ("out", "peer", "back"),
    "QEMU at home": ("back",),
}

# The short run: one cell a victim and signal, each phase once or more.
SHORT = {
    ("KILL", "helper", "out"),
    ("KILL", "peer daemon", "back"),
    ("KILL", "host daemon", "back"),
    ("KILL", "QEMU in the peer", "out"),
    ("KILL", "QEMU at home", "back"),
    ("STOP", "helper", "peer"),
    ("STOP", "peer daemon", "out"),
    ("STOP", "QEMU in the peer", "back"),
    ("STOP", "QEMU at home", "back"),
}

CELLS = [
    pytest.param(name, victim, wanted, id=f"{name}-{victim}-{wanted}".replace(" ", "-"))
    for name in ("KILL", "STOP")
    for victim, wanteds in PARTS.items()
    for wanted in wanteds
    if FULL or (name, victim, wanted) in SHORT
]


@pytest.fixture(autouse=True)
def _able(uuidfs_works: None, host: PrivateHost) -> None:
    probe = host.run("/usr/bin/python3", "-c", "import libvirt")
    assert probe.code == 0, "python3-libvirt is not installed"


@pytest.mark.parametrize(("name", "victim", "wanted"), CELLS)
def test_whoever_is_hit_in_whatever_phase(
    host: PrivateHost, name: str, victim: str, wanted: str
) -> None:
    """The disk has no lock that would help, and the guest is started all the time."""
    prepare(host, started=False)
    shareable(host)
    start_counting(host)
    began = time.monotonic()
    # Where the guest's own process is killed, it has ended, and may be started.
    fatal = (name, victim) in {("KILL", "QEMU in the peer"), ("KILL", "QEMU at home")}
    with Attack(host, may_start=fatal):
        running = begun(host, wanted, *SLOW)
        if (name, victim) == ("KILL", "host daemon"):
            hit = host.libvirtd.pid
            host.libvirtd.kill()
            host.libvirtd.start()
        else:
            hit = signal_to(host, victim, name)
        print(f"{name} {victim} {hit} in {phase(host)}")
        if name == "STOP" and victim == "helper" and phase(host):
            time.sleep(1.0)
            at_it = uuidfs(host, "local-migrate", "--recover")
            assert at_it.code == 75, at_it
            assert f"process {hit}" in at_it.err or f"pid {hit}" in at_it.err, at_it
            host.run("kill", "-s", "CONT", str(hit))
        code, said = ended(running, BOUND)
        if name == "STOP" and victim == "host daemon":
            print(f"given up after {time.monotonic() - began:.0f} s: {said}")
            host.libvirtd.signal("CONT")
        print(code, said, f"{time.monotonic() - began:.1f} s")
        if name == "STOP" and victim != "host daemon":
            assert code == 0, said
        recovered = uuidfs(host, "local-migrate", "--recover")
        assert recovered.code == 0, f"{said} {recovered}"
    if fatal and ENDED in said:
        assert code == 1
        assert leftovers(host) == []
        if host.virsh("domstate", "a").ok().out.strip() != "running":
            start_counting(host)
        at_home(host)
    else:
        print(f"largest gap {home(host)}")


@pytest.mark.parametrize("side", ["host", "peer"])
def test_the_destination_dies_with_its_answer(host: PrivateHost, side: str) -> None:
    """The source's daemon takes the hop for failed and lets the guest run: it must not run twice.

    By the console: both would write the same numbers.
    """
    prepare(host, started=False)
    shareable(host)
    start_counting(host)
    if side == "host":
        running = begun(host, "back", *SLOW)
        victim, status = host.libvirtd.pid, "/run/libvirt/qemu/a.xml"
    else:
        running = begun(host, "out", *SLOW)
        victim, status = pid_of(host, "peer daemon"), f"{PEER}/run/qemu/a-incoming.xml"
    pid = outside(host, victim)
    arrived(host.path(status), running)
    os.kill(pid, signal.SIGKILL)
    time.sleep(1.0)  # time to run twice
    if side == "host":
        host.libvirtd.start()
        host.reconnected()
    ended(running)
    uuidfs(host, "local-migrate", "--recover").ok()
    home(host)


@pytest.mark.parametrize("wanted", ["out", "back"])
def test_the_helper_dies_when_the_guest_has_arrived(host: PrivateHost, wanted: str) -> None:
    """Nobody lets it run then, until somebody recovers."""
    prepare(host)
    running = begun(host, wanted, *SLOW)
    pid = outside(host, pid_of(host, "helper"))
    where = "/run/libvirt/qemu/a.xml" if wanted == "back" else f"{PEER}/run/qemu/a-incoming.xml"
    arrived(host.path(where), running)
    os.kill(pid, signal.SIGKILL)
    ended(running)
    uuidfs(host, "local-migrate", "--recover").ok()
    home(host)


@pytest.mark.parametrize("wanted", ["begin", "out"])
def test_interrupted_on_the_way_out(host: PrivateHost, wanted: str) -> None:
    prepare(host, memory=512)
    pid = host.qemu_pid("a")
    running = begun(host, wanted, "--bandwidth", "1")
    began = time.monotonic()
    signal_to(host, "helper", "INT")
    code, said = ended(running, BOUND)
    print(f"{time.monotonic() - began:.1f} s: {said}")
    assert code == 1
    assert "interrupted" in said
    home(host)
    assert host.qemu_pid("a") == pid, "it stayed"


@pytest.mark.parametrize("wanted", ["peer", "back"])
def test_interrupted_in_the_peer_it_goes_home(host: PrivateHost, wanted: str) -> None:
    prepare(host)
    running = begun(host, wanted, *SLOW)
    signal_to(host, "helper", "INT")
    code, said = ended(running, BOUND)
    assert (code, "come home first" in said) == (0, True), said
    home(host)


def test_a_time_limit(host: PrivateHost) -> None:
    prepare(host, memory=512)
    pid = host.qemu_pid("a")
    for seconds in ("1", "0.01"):
        said = move(host, "--bandwidth", "1", "--timeout", seconds)
        assert said.code == 1
        assert f"it took longer than {seconds} s" in said.err
        assert host.qemu_pid("a") == pid, "it stayed"
        home(host)


def test_a_peer_that_does_not_start(host: PrivateHost) -> None:
    prepare(host)
    path = host.path("/etc/libvirt/qemu.conf")
    text = path.read_text()
    path.write_text(text + "namespaces = [ unparsable\n")
    pid = host.qemu_pid("a")
    said = move(host)
    assert said.code == 1
    assert "the peer daemon did not start: " in said.err
    assert len(said.err.splitlines()) == 1, said.err
    assert host.qemu_pid("a") == pid, "it stayed"
    home(host)
    path.write_text(text)
    move(host).ok()
    home(host)


def test_a_file_in_the_place_of_the_sockets(host: PrivateHost) -> None:
    prepare(host)
    pid = host.qemu_pid("a")
    host.path(HOPS).write_text("somebody's")
    said = move(host)
    assert said.code == 1
    assert HOPS in said.err, said.err
    assert phase(host) == "", "its session is closed"
    assert host.qemu_pid("a") == pid, "it stayed"
    assert host.path(HOPS).read_text() == "somebody's"
    host.path(HOPS).unlink()
    move(host).ok()
    home(host)


@pytest.mark.parametrize("wanted", ["begin", "peer", "back"])
def test_a_guest_that_ends_on_the_way(host: PrivateHost, wanted: str) -> None:
    prepare(host)
    running = begun(host, wanted, *SLOW)
    words = ("destroy", "a") if wanted == "begin" else ("-c", PEER_URI, "destroy", "a-incoming")
    host.virsh(*words).ok()
    code, said = ended(running, BOUND)
    assert (code, said.count("\n")) == (1, 1), said
    assert ENDED in said
    assert leftovers(host) == []
    assert processes(host) == []
    assert host.virsh("domstate", "a").ok().out.strip() == "shut off"
    start_counting(host)
    at_home(host)
