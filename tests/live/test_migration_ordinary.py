"""Trip after trip of what hosters run: a TPM, UEFI, a console log, Open vSwitch and two disks.

No guest of ours can do all of that at once, so three travel together: one whose TPM, console log
and second disk tell whether anything was lost, one that answers pings, and one with UEFI, which
keeps its variables. UUIDFS_TRIPS has more trips than the usual few.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from tests.live import networks, tpm_guest
from tests.live.devices import disk, domain
from tests.live.moving import ACPI, IMAGES, move, start
from tests.live.networks import CARD, Pinged
from tests.live.private_host import PrivateHost
from tests.live.test_migration_disks import cpu_time
from tests.live.tpm_guest import TPM, unbroken
from tests.support.process import wait_for

TRIPS = int(os.environ.get("UUIDFS_TRIPS", "2"))

CODE, VARS = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"

PORT = "<source bridge='br0'/><virtualport type='openvswitch'/>"


def console(number: int) -> str:
    """A console as Nova's, whose log is what ``tpm_guest.lines`` reads."""
    log = f"<log file='{IMAGES}/{number}.console' append='on'/>"
    return f"<serial type='pty'>{log}</serial>"


def card(number: int) -> str:
    """A port of the switch."""
    mac = f"<mac address='52:54:00:00:01:0{number}'/><model type='virtio'/>"
    return f"<interface type='bridge'>{PORT}{mac}</interface>"


def two_disks(number: int) -> str:
    """The guest's own, and another one."""
    return disk(number) + disk(number, "vdb", path=f"{IMAGES}/{number}b.qcow2")


def test_trip_after_trip(ready: PrivateHost, tmp_path: Path) -> None:
    networks.openvswitch(ready)
    tpm_guest.prepare(ready, tmp_path, 2)
    for number in (1, 2, 3):
        path = f"{IMAGES}/{number}b.qcow2"
        ready.run("qemu-img", "create", "-q", "-f", "qcow2", path, "1M").ok()
    nvram = "/var/lib/libvirt/qemu/nvram/c_VARS.fd"
    loader = f"<loader readonly='yes' type='pflash'>{CODE}</loader>"
    uefi = f"{loader}<nvram template='{VARS}'>{nvram}</nvram>"
    start(
        ready,
        domain("b", 2, console(2) + TPM + card(2), disks=two_disks(2), top=ACPI),
        domain(
            "c", 3, console(3) + TPM + card(3), disks=two_disks(3), os=uefi, top=ACPI, memory=64
        ),
    )
    second = disk(1, "vdb", path=f"{IMAGES}/1b.qcow2")
    pinged = f"<interface type='bridge'>{PORT}{CARD}</interface>"
    with Pinged(ready, pinged, TPM + console(1) + second) as guest:
        guest.plug()
        settled(ready, nvram)
        before = digest(ready, nvram)
        for _ in range(TRIPS):
            tpm_guest.goes_on(ready, 2)
            move(ready, "a", "b", "c", words=("--jobs", "1"))
            used = cpu_time(ready, "c")
            tpm_guest.goes_on(ready, 2)
            wait_for(lambda used=used: cpu_time(ready, "c") > used, "c runs")  # type: ignore[misc]  # bound by a default
        seen = guest.over()
    assert digest(ready, nvram) == before
    lines = unbroken(tpm_guest.lines(ready, 2))
    print(
        f"{TRIPS} trips of three: {lines} lines of the TPM in the log, none lost; "
        f"{len(seen.lost)} of {seen.sent} pings lost, longest silence {seen.longest * 1000:.0f} ms"
    )
    for name, number in (("a", 1), ("b", 2), ("c", 3)):
        ready.virsh("destroy", name).ok()
        for image in (f"{number}.qcow2", f"{number}b.qcow2"):
            ready.run("qemu-img", "check", "-q", f"{IMAGES}/{image}").ok()


def settled(host: PrivateHost, nvram: str) -> None:
    """The firmware has written its variables, and goes on doing nothing."""
    template = hashlib.sha256(Path(VARS).read_bytes()).hexdigest()
    wait_for(lambda: digest(host, nvram) != template, "the firmware writes a variable")
    was = ""
    while was != (was := digest(host, nvram)):
        subprocess.run(["sleep", "3"], check=True)


def digest(host: PrivateHost, path: str) -> str:
    """Of a file in the host."""
    return hashlib.sha256(host.path(path).read_bytes()).hexdigest()
