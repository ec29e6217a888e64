"""Local migration of disks, firmware and its variables."""

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path

from tests.live import guest
from tests.live.devices import (
    asks_for_secrets,
    console,
    define_secret,
    disk,
    domain,
    luks,
)
from tests.live.migration import counts, went_on
from tests.live.moving import ACPI, IMAGES, move, start, wait_counting
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for


def test_disks_snapshots_and_checkpoints(ready: PrivateHost) -> None:
    for number in (1, 2):
        ready.run("qemu-img", "create", "-f", "qcow2", f"{IMAGES}/{number}b.qcow2", "1M").ok()
    ready.run("qemu-img", "create", "-f", "raw", f"{IMAGES}/2c.raw", "1M").ok()
    start(
        ready,
        domain(
            "a",
            1,
            console(1),
            disks=disk(1, cache="none") + disk(1, "vdb", path=f"{IMAGES}/1b.qcow2", cache="unsafe"),
        ),
        domain(
            "b",
            2,
            console(2),
            disks=disk(2, cache="writeback")
            + disk(2, "vdb", path=f"{IMAGES}/2b.qcow2", cache="writethrough")
            + disk(2, "vdc", path=f"{IMAGES}/2c.raw", kind="raw", cache="directsync"),
        ),
    )
    wait_counting(ready, 1, 2)
    for snapshot in ("s1", "s2"):
        ready.virsh("snapshot-create-as", "a", snapshot).ok()
    ready.path("/run/c.xml").write_text(guest.checkpoint("c1"))
    ready.virsh("checkpoint-create", "a", "/run/c.xml", "--redefine").ok()
    for snapshot in ("e1", "e2"):
        ready.virsh("snapshot-create-as", "b", snapshot, "--disk-only").ok()
    ready.virsh("snapshot-current", "a", "s1").ok()
    move(ready, "a", "b")
    for name, number, current in (("a", 1, "s1"), ("b", 2, "e2")):
        assert ready.virsh("snapshot-current", name, "--name").ok().out.strip() == current
        wait_counting(ready, number)
        went_on(counts(ready, number))
    images = ready.run("sh", "-c", f"ls -1 {IMAGES}").ok().out.split()
    ready.virsh("snapshot-revert", "a", "s2").ok()  # the metadata is not all that came home
    ready.virsh("destroy", "a").ok()
    ready.virsh("destroy", "b").ok()
    for image in images:
        if image.rpartition(".")[2] in {"qcow2", "e1", "e2"}:
            ready.run("qemu-img", "check", f"{IMAGES}/{image}").ok()


def test_uefi_with_nvram(ready: PrivateHost) -> None:
    nvram = "/var/lib/libvirt/qemu/nvram/a_VARS.fd"
    code = "/usr/share/OVMF/OVMF_CODE_4M.fd"
    assert Path(code).exists(), "the package ovmf is not installed"
    os = (
        f"<loader readonly='yes' type='pflash'>{code}</loader>"
        f"<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>{nvram}</nvram>"
    )
    start(ready, domain("a", 1, console(1), os=os, top=ACPI, memory=64))
    file = ready.path(nvram)
    template = hashlib.sha256(Path("/usr/share/OVMF/OVMF_VARS_4M.fd").read_bytes()).digest()

    def content() -> bytes:
        return hashlib.sha256(file.read_bytes()).digest()

    # It writes variables while it boots, and is quiet in its menu or shell.
    wait_for(lambda: content() != template, "the firmware writes a variable")
    wait_for(lambda: quiet(content, 3), "the firmware is quiet")
    before, inode = content(), file.stat().st_ino
    move(ready, "a")
    assert (content(), file.stat().st_ino) == (before, inode)
    assert open_files(ready, "a").count(nvram) == 1
    used = cpu_time(ready, "a")
    wait_for(lambda: cpu_time(ready, "a") > used, "the guest's CPU runs")
    ready.virsh("reset", "a").ok()  # the firmware finds its variables


def quiet(look: Callable[[], bytes], seconds: float) -> bool:
    """Whether something stays the same for so long."""
    end, first = time.monotonic() + seconds, look()
    while time.monotonic() < end:
        if look() != first:
            return False
        time.sleep(0.1)
    return True


def cpu_time(host: PrivateHost, name: str) -> int:
    """Nanoseconds that a domain's first CPU has used."""
    found = re.search(r"vcpu.0.time=(\d+)", host.virsh("domstats", name, "--vcpu").ok().out)
    assert found
    return int(found[1])


def open_files(host: PrivateHost, name: str) -> list[str]:
    """What the QEMU process of a domain has open; the paths are those in the namespace."""
    said = host.run("sh", "-c", f"readlink /proc/{host.qemu_pid(name)}/fd/*").ok().out
    root = str(host.root)
    return [
        line.removeprefix(root).replace("/lib/", "/var/lib/libvirt/", 1)
        if line.startswith(root)
        else line
        for line in said.splitlines()
    ]


@asks_for_secrets
def test_an_encrypted_disk_whose_secret_nobody_can_read(ready: PrivateHost) -> None:
    """A private one: libvirt gives it to no client, and the peer's daemon reads it from disk."""
    secret = "5ec0e7a0-0000-4000-8000-000000000003"
    define_secret(ready, secret, "<usage type='volume'><volume>/luks</volume></usage>")
    image = f"{IMAGES}/luks.img"
    keyed = ["--object", "secret,id=s,data=geheim", "-o", "key-secret=s,iter-time=100"]
    make = ("qemu-img", "create", "-q", "-f", "luks", *keyed, image, "2M")
    # It measures the CPU, and gives up on a busy machine.
    wait_for(lambda: ready.run(*make).code == 0, "an encrypted image is made")
    start(ready, domain("a", 1, console(1), disks=disk(1) + luks(image, secret)))
    wait_counting(ready, 1)
    move(ready, "a")
    move(ready, "a")
    wait_counting(ready, 1)
    went_on(counts(ready))
