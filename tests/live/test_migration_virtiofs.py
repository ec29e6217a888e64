"""Guests that work on shared directories: what they have open is theirs after a trip, too."""

from itertools import pairwise

import pytest

from tests.live import linux_guest
from tests.live.attack import PEER, PEER_URI, signal_to
from tests.live.devices import console, domain
from tests.live.linux_guest import boot, said
from tests.live.migration import leftovers, uuidfs
from tests.live.moving import move, refused, start
from tests.live.planned import HOME, OUT, before, killed, uuidfs_at
from tests.live.private_host import PROGRAM, PrivateHost
from tests.support.process import REPOSITORY, wait_for

WRAPPER = "/run/bin/uuidfs-virtiofsd"
STOCK = '#!/bin/sh\nexec /usr/libexec/virtiofsd "$@"\n'
MEMFD = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"


@pytest.fixture(autouse=True)
def _able(ready: PrivateHost) -> None:
    """The hook, libvirt-python, a libvirt that can, and a kernel for the guest."""
    version = ready.run(PROGRAM, "--version").out.split()[-1]
    if int(version.split(".")[0]) < 11:
        pytest.skip("this libvirt moves no virtiofs")
    if linux_guest.kernel() is None or not linux_guest.BUSYBOX.exists():
        pytest.skip("no kernel of linux-image-cloud-amd64, or no busybox-static")
    linux_guest.install(ready)
    ready.run("mkdir", "-p", "/run/bin", "/run/s0", "/run/s1").ok()
    ready.path("/run/s1/said").write_text("hello\n")
    use(ready, (REPOSITORY / "packaging/virtiofsd/uuidfs-virtiofsd").read_text())


def use(host: PrivateHost, wrapper: str) -> None:
    """What the domains' <binary> is from now on."""
    path = host.path(WRAPPER)
    path.with_suffix(".new").write_text(wrapper)
    path.with_suffix(".new").chmod(0o755)
    path.with_suffix(".new").rename(path)


def share(tag: str, more: str = "") -> str:
    """A directory of the host, below /run."""
    return (
        "<filesystem type='mount' accessmode='passthrough'><driver type='virtiofs'/>"
        f"<binary path='{WRAPPER}'/><source dir='/run/{tag}'/><target dir='{tag}'/>{more}"
        "</filesystem>"
    )


def start_linux(host: PrivateHost, *tags: str) -> None:
    """Start guest 1 with s0, and s1 where it is among ``tags``, and wait until it works."""
    devices = console(1) + share("s0") + ("".join(share(tag, "<readonly/>") for tag in tags))
    kernel = boot("s0", *tags)
    start(host, domain("a", 1, devices, disks="", top=MEMFD, os=kernel, memory=128))
    works(host)


def works(host: PrivateHost) -> None:
    """Wait until it has done some more."""
    old = len(said(host))
    wait_for(lambda: len(said(host)) > old + 2, "the guest works")


def nothing_lost(host: PrivateHost, opened: str = "open", failures: int = 0) -> None:
    """Every line of the open file is in that inode, once, and nothing has failed but for so many
    things; the file without a name has grown as well."""
    works(host)
    lines = said(host)
    assert [number for number, *_ in lines] == list(range(1, len(lines) + 1))
    assert sum(what != "ok" for _, what, *_ in lines) <= failures, lines
    assert all(one[2] < two[2] and one[3] < two[3] for one, two in pairwise(lines)), lines
    kept = host.path(f"/run/s0/{opened}").read_text().splitlines()
    assert kept == [f"line {n}" for n in range(1, len(kept) + 1)]
    assert len(kept) >= len(lines)


def test_a_guest_with_open_files_moves(host: PrivateHost) -> None:
    """Two directories, one read-only; an open file that has no name any more among them."""
    start_linux(host, "s1")
    for _ in range(3):
        move(host, "a")
        nothing_lost(host)
    assert not host.path("/run/s1/mine").exists()


def test_files_that_others_exchange_meanwhile(host: PrivateHost) -> None:
    """Another file lies at the path in each hop; not a line of the guest's goes into it."""
    start_linux(host)
    exchange = "cd /run/s0; mv open open.{0}; echo {0} >open; sync"
    plan = [
        before("hop.move", exchange.format("out"), OUT),
        before("hop.move", exchange.format("home"), HOME),
    ]
    uuidfs_at(host, plan, "local-migrate", "a").ok()
    nothing_lost(host, "open.out")
    assert host.path("/run/s0/open.home").read_text() == "out\n"
    assert host.path("/run/s0/open").read_text() == "home\n"


def test_a_virtiofsd_that_goes_by_paths(host: PrivateHost) -> None:
    """It is refused: the host's by the preflight, the peer's before the guest comes in."""
    start_linux(host)
    use(host, STOCK)
    refused(host, "a", "in the peer: its virtiofsd would find open files again by paths")
    nothing_lost(host)
    host.virsh("destroy", "a").ok()
    host.virsh("start", "a").ok()
    refused(host, "a", "filesystem fs0: its virtiofsd would find open files again by paths")


def test_a_directory_that_a_peer_cannot_serve(host: PrivateHost) -> None:
    host.run("mkdir", "-p", "/run/s0/proc").ok()
    start_linux(host)
    host.run("mount", "-t", "proc", "none", "/run/s0/proc").ok()
    refused(host, "a", "/run/s0/proc is on a file system that gives no file handles")
    host.run("umount", "/run/s0/proc").ok()
    host.run("kill", host.run("sh", "-c", "cat /run/libvirt/qemu/*-fs0-fs.pid").ok().out).ok()
    refused(host, "a", "filesystem fs0: its virtiofsd cannot be found: it has ended")


def test_a_libvirt_that_was_started_again(host: PrivateHost) -> None:
    """It does not remember what the virtiofsd can (11.3), and would refuse the hop."""
    start_linux(host)
    host.restart()
    refused(host, "a", "does not remember that this one can migrate")
    nothing_lost(host)


def test_the_helper_and_the_peer_are_killed(host: PrivateHost) -> None:
    """Nor does a peer that is started again, and the guest comes home all the same."""
    start_linux(host, "s1")
    uuidfs_at(host, [killed("hop.move", HOME)], "local-migrate", "a")
    signal_to(host, "peer daemon", "KILL")
    works(host)
    uuidfs(host, "local-migrate", "--recover", "a").ok()
    nothing_lost(host)
    move(host, "a")
    nothing_lost(host)


@pytest.mark.full
def test_the_virtiofsd_of_the_peer_is_killed(host: PrivateHost) -> None:
    """The guest stays there, without the directory, until somebody ends it."""
    start_linux(host)
    kill = f"kill -9 $(cat {PEER}/run/qemu/*-fs0-fs.pid); sleep 0.3"
    trip = uuidfs_at(host, [before("hop.move", kill, HOME)], "local-migrate", "a")
    assert "the guest runs on in the peer" in trip.err
    host.run("virsh", "-c", PEER_URI, "destroy", "a-incoming").ok()
    uuidfs(host, "local-migrate", "--recover", "a")
    assert leftovers(host) == []
    host.virsh("start", "a").ok()
