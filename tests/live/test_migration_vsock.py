"""Guests with a vsock: the kernel gives a CID to one process, so the peer's has another one."""

import re
from pathlib import Path

import pytest

from tests.live.attack import PEER_URI
from tests.live.devices import console, domain
from tests.live.migration import counts, went_on
from tests.live.moving import move, start, wait_counting
from tests.live.planned import HOME, before, uuidfs_at
from tests.live.private_host import PrivateHost


@pytest.fixture(autouse=True)
def _able(ready: PrivateHost) -> None:
    """The hook, libvirt-python, and a kernel that has vsocks for guests."""
    if not Path("/dev/vhost-vsock").exists():
        pytest.skip("this kernel has no vhost-vsock")


def cid(xml: str) -> int:
    """The CID that a guest has."""
    found = re.search(r"<cid [^>]*address='(\d+)'", xml)
    assert found, xml
    return int(found[1])


@pytest.mark.parametrize("given", ["auto='yes'", "auto='no' address='4711'"])
def test_a_vsock_has_its_cid_again_at_home(host: PrivateHost, given: str) -> None:
    start(host, domain("a", 1, console(1) + f"<vsock model='virtio'><cid {given}/></vsock>"))
    wait_counting(host, 1)
    own = cid(host.virsh("dumpxml", "a").ok().out)
    move(host, "a")
    wait_counting(host, 1)
    look = f"virsh -c '{PEER_URI}' dumpxml a-incoming >/run/seen"
    uuidfs_at(host, [before("hop.move", look, HOME)], "local-migrate", "a").ok()
    wait_counting(host, 1)
    there = cid(host.path("/run/seen").read_text())
    print("CID at home, in the peer:", own, there)
    assert there != own
    assert cid(host.virsh("dumpxml", "a").ok().out) == own
    went_on(counts(host))


def test_a_cid_that_somebody_takes_meanwhile(host: PrivateHost) -> None:
    """An automatic one is another one then; the guest does not stay away for that."""
    vsock = "<vsock model='virtio'><cid auto='yes'/></vsock>"
    start(host, domain("a", 1, console(1) + vsock))
    wait_counting(host, 1)
    own = cid(host.virsh("dumpxml", "a").ok().out)
    taker = domain("b", 2, console(2) + vsock)
    host.path("/run/b.xml").write_text(taker)
    plan = [before("hop.move", "virsh create /run/b.xml", HOME)]
    uuidfs_at(host, plan, "local-migrate", "a").ok()
    wait_counting(host, 1)
    now = [cid(host.virsh("dumpxml", name).ok().out) for name in ("a", "b")]
    print("CID before, now, and of the other one:", own, *now)
    assert now[0] != now[1]
