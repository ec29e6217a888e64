"""Whoever takes part in a trip is killed; afterwards one guest runs, and is on its network."""

import os
import signal

import pytest

from tests.live import guest
from tests.live.attack import begun, ended, outside, pid_of
from tests.live.migration import leftovers, processes, uuidfs
from tests.live.networks import (
    CARD,
    GIVEN,
    Pinged,
    filtered,
    filters,
    lower_device,
    openvswitch,
    sh,
    traces,
    unchanged,
)
from tests.live.planned import before, gives, killed, uuidfs_at
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for

SLOW = ("--bandwidth", "4")

PORTS = {
    "openvswitch": (
        openvswitch,
        "<interface type='bridge'><source bridge='br0'/><virtualport type='openvswitch'>"
        f"<parameters profileid='p'/></virtualport><target dev='tapnova'/>{CARD}</interface>",
    ),
    "filtered": (filters, filtered(GIVEN)),
    "macvtap": (
        lower_device,
        f"<interface type='direct'><source dev='low' mode='bridge'/>{CARD}</interface>",
    ),
}


@pytest.fixture(autouse=True)
def _able(ready: PrivateHost) -> None:
    """The hook, and libvirt-python."""


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    ("victim", "wanted"),
    [
        pytest.param("helper", "out", marks=pytest.mark.full),
        pytest.param("helper", "peer", marks=pytest.mark.full),
        ("helper", "back"),
        ("peer daemon", "back"),
    ],
)
def test_whoever_is_killed_the_guest_keeps_its_network(
    host: PrivateHost, port: str, victim: str, wanted: str
) -> None:
    prepare, card = PORTS[port]
    prepare(host)
    with Pinged(host, card).plug() as pinged:
        was = traces(host)
        running = begun(host, wanted, *SLOW)
        os.kill(outside(host, pid_of(host, victim)), signal.SIGKILL)
        print(ended(running))
        uuidfs(host, "local-migrate", "--recover").ok()
        assert host.virsh("domstate", "a").ok().out.strip() == "running"
        assert processes(host) == [host.qemu_pid("a")]
        assert leftovers(host) == []
        unchanged(host, was)
        pinged.answers()


def test_the_helper_dies_when_a_paused_guest_has_arrived(host: PrivateHost) -> None:
    """The host's daemon has taken its disk back then, and QEMU 7.2 aborts where a guest is moved
    on that could not open it."""
    prepare, card = PORTS["macvtap"]
    prepare(host)
    with Pinged(host, card).plug() as pinged:
        was = traces(host)
        assert uuidfs_at(host, [killed("sides.Sides.resume")], "local-migrate", "a").code == -9
        wait_for(lambda: host.path(guest.disk(1)).stat().st_uid == 0, "the disk is taken back")
        uuidfs(host, "local-migrate", "--recover").ok()
        assert host.virsh("domstate", "a").ok().out.strip() == "running"
        assert processes(host) == [host.qemu_pid("a")]
        assert leftovers(host) == []
        unchanged(host, was)
        pinged.answers()


def test_a_guest_that_nobody_let_run_at_once(host: PrivateHost) -> None:
    """Neither in the peer nor at home: the look where it is does it, later."""
    prepare, card = PORTS["macvtap"]
    prepare(host)
    with Pinged(host, card).plug() as pinged:
        was = traces(host)
        uuidfs_at(host, [gives("sides.Sides.resume", what=True)], "local-migrate", "a").ok()
        assert host.virsh("domstate", "a").ok().out.strip() == "running"
        unchanged(host, was)
        pinged.answers()


def test_a_switch_that_does_not_answer(host: PrivateHost) -> None:
    """libvirt gives ovs-vsctl up after five seconds: the hop fails, and the guest stays."""
    prepare, card = PORTS["openvswitch"]
    prepare(host)
    switch = "$(cat /run/openvswitch/ovsdb-server.pid)"
    with Pinged(host, card).plug() as pinged:
        was, pid = traces(host), host.qemu_pid("a")
        stop = before("hop.move", f"kill -STOP {switch}")
        said = uuidfs_at(host, [stop], "local-migrate", "a")
        sh(host, f"kill -CONT {switch}")
        assert said.code == 1
        print(said.err)
        assert host.qemu_pid("a") == pid
        assert leftovers(host) == []
        unchanged(host, was)
        uuidfs(host, "local-migrate", "a").ok()
        unchanged(host, was)
        pinged.answers()
