"""Random numbers of an EGD, host directories, and what stays where it is."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.live import guest
from tests.live.attack import PEER_URI
from tests.live.devices import console, disk, domain
from tests.live.migration import counts, went_on
from tests.live.moving import ACPI, IMAGES, move, refused, start, wait_counting
from tests.live.planned import HOME, before, uuidfs_at
from tests.live.private_host import PrivateHost

# An EGD: it answers whatever is asked with nothing, and says how many are connected.
EGD = r"""
import selectors, socket, sys
plug = socket.socket()
plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
plug.bind(("127.0.0.1", 4711))
plug.listen()
print("up", flush=True)
there = selectors.DefaultSelector()
there.register(plug, selectors.EVENT_READ)
while True:
    for key, _ in there.select():
        if key.fileobj is plug:
            there.register(plug.accept()[0], selectors.EVENT_READ)
        elif not key.fileobj.recv(4096):
            there.unregister(key.fileobj)
            key.fileobj.close()
"""

# A boot sector that mounts the 9p directory, then counts as that of guest.py does: finds the
# device (virtio 0.9) by the BIOS, gives it one queue at 0x20000, and sends Tversion and Tattach.
MOUNTS = bytes.fromhex(
    "31c08ed8fcb800208ec031c031ffb90018f3abb802b1b90910baf41a31f6cd1ab809b1bf1000cd1a80e1fc89"
    "cdb809b1bf0400cd1a80c907b80cb1cd1a8d561231c0eeb003ee8d56046631c066ef8d560eef8d5608b02066"
    "ef8d5612b007ee26c7060000002026c7060200020026c7060c00010026c7060e00010026c7061000003026c7"
    "061200020026c7061800001026c7061c000200bec87ce80800bedd7ce80200eb4fbf00208b0c26890e0800f3"
    "a426ff0602088d561031c0ef26a10208263b06021075f5c31500000064ffff0020000008003950323030302e"
    "751700000068010001000000ffffffff0000000000000000"
)


@pytest.fixture(autouse=True)
def _able(ready: PrivateHost) -> None:
    """The hook, and libvirt-python."""
    ready.run("ip", "link", "set", "lo", "up").ok()


@pytest.fixture
def egd(host: PrivateHost) -> Iterator[None]:
    """A daemon that has random numbers."""
    words = host.inside("/usr/bin/python3", "-c", EGD)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "up\n"
        yield
        running.kill()


def twice(host: PrivateHost, look: str = "true") -> str:
    """Move guest 1 twice; returns what ``look`` says while it is in the peer."""
    wait_counting(host, 1)
    move(host, "a")
    wait_counting(host, 1)
    plan = [before("hop.move", f"{{ {look}; }} >/run/seen 2>&1", HOME)]
    uuidfs_at(host, plan, "local-migrate", "a").ok()
    wait_counting(host, 1)
    went_on(counts(host))
    return host.path("/run/seen").read_text()


IN_PEER = f"virsh -c '{PEER_URI}' dumpxml a-incoming"


@pytest.mark.parametrize(
    "source",
    [
        "<source mode='connect' host='127.0.0.1' service='4711'/>",
        "<source mode='bind' host='127.0.0.1' service='4712'/>",
    ],
)
def test_random_numbers_of_an_egd(host: PrivateHost, egd: None, source: str) -> None:
    """In the peer they are the kernel's, at home the daemon's again."""
    rng = f"<rng model='virtio'><backend model='egd' type='tcp'>{source}</backend></rng>"
    start(host, domain("a", 1, console(1) + rng))
    seen = twice(host, IN_PEER)
    assert "<backend model='random'>/dev/urandom</backend>" in seen
    assert "model='egd'" in host.virsh("dumpxml", "a").ok().out


SHARED = "<filesystem type='mount'><source dir='/run/shared'/><target dir='tag'/></filesystem>"


def test_a_directory_that_is_not_mounted(host: PrivateHost) -> None:
    host.run("mkdir", "/run/shared").ok()
    start(host, domain("a", 1, console(1) + SHARED))
    seen = twice(host, IN_PEER)
    assert "<source dir='/run/shared'/>" in seen


def test_a_directory_that_is_mounted(host: PrivateHost) -> None:
    """QEMU refuses the hop and says why; the guest stays, and goes on."""
    if "version 7." not in host.run("qemu-system-x86_64", "--version").ok().out:
        pytest.skip("the boot sector mounts 9p on QEMU 7 only")  # on 10.0 it waits for ever
    host.run("mkdir", "/run/shared").ok()
    boot = (MOUNTS + guest.BOOT_SECTOR.rstrip(b"\x55\xaa\0")).ljust(510, b"\0") + b"\x55\xaa"
    host.path(f"{IMAGES}/mounts.raw").write_bytes(boot.ljust(1 << 20, b"\0"))
    image = disk(1, path=f"{IMAGES}/mounts.raw", kind="raw")
    start(host, domain("a", 1, console(1) + SHARED, disks=image))
    wait_counting(host, 1)
    refused(host, "a", "Migration is disabled when VirtFS export path '/run/shared' is mounted")
    wait_counting(host, 1)
    went_on(counts(host))


def test_memory_that_is_somebody_elses_too(host: PrivateHost) -> None:
    model = "<model type='ivshmem-plain'/><size unit='M'>4</size>"
    shmem = f"<shmem name='s0' role='master'>{model}</shmem>"
    numa = (
        ACPI + "<maxMemory slots='4' unit='MiB'>512</maxMemory><vcpu>1</vcpu>"
        "<cpu><numa><cell id='0' cpus='0' memory='16' unit='MiB'/></numa></cpu>"
    )
    nvdimm = (
        f"<memory model='nvdimm'><source><path>{IMAGES}/nv</path></source><target>"
        "<size unit='MiB'>128</size><node>0</node></target></memory>"
    )
    host.run("truncate", "-s", "128M", f"{IMAGES}/nv").ok()
    start(host, domain("a", 1, console(1) + shmem), domain("b", 2, console(2) + nvdimm, top=numa))
    wait_counting(host, 1, 2)
    refused(host, "a", "shmem shmem0: memory shared with others, over which the hop would write")
    refused(host, "b", "memory nvdimm0: its file is mapped by both processes, and the hop would")
