"""Guests of other architectures, where their QEMU is installed: what they alone have moves, too.

In .ci/run, where UUIDFS_LIVE_ARCHITECTURES is 1, each of them has to be there. On a PC nothing has
SCLP consoles, SD cards, or panic devices of pSeries. The guests have no system: their kernel is an
endless loop, or their firmware runs.
"""

import os
import shutil
from itertools import pairwise
from typing import NamedTuple

import pytest

from tests.live import guest
from tests.live.moving import IMAGES, move, start
from tests.live.private_host import PrivateHost
from tests.live.test_migration_disks import cpu_time
from tests.support.process import wait_for

# Prints a to z on the serial port of "virt" (PL011), over and over:
#   movz x1,#0x900,lsl#16; movz w0,#'a'
#   again: strb w0,[x1]; movz x2,#0x20,lsl#16; wait: subs x2,x2,#1; b.ne wait
#   add w0,w0,#1; cmp w0,#'z'+1; b.lt again; movz w0,#'a'; b again
_ALPHABET = b"".join(
    word.to_bytes(4, "little")
    for word in (
        *(0xD2A12001, 0x52800C20, 0x39000020, 0xD2A00402, 0xF1000442, 0x54FFFFE1),
        *(0x11000400, 0x7101EC1F, 0x54FFFF4B, 0x52800C20, 0x17FFFFF8),
    )
)


class Machine(NamedTuple):
    """A machine, its kernel, and the devices that it has."""

    emulator: str
    name: str
    kernel: bytes | None
    devices: str
    memory: int = 64
    cpu: str = ""


VIRTIO = (
    "<controller type='scsi' model='virtio-scsi'/>"
    "<disk type='file' device='cdrom'><target dev='sda' bus='scsi'/></disk>"
    "<interface type='user'><model type='virtio'/></interface>"
    "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
    "<memballoon model='virtio'/>"
)
SCREEN = (
    "<controller type='usb' model='qemu-xhci'/><input type='tablet' bus='usb'/>"
    "<input type='keyboard' bus='usb'/><graphics type='vnc'/>"
    "<video><model type='MODEL'/></video>"
)
FILE = f"<serial type='file'><source path='{IMAGES}/1.console' append='on'/></serial>"
DISK = (
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
    f"<source file='{guest.disk(1)}'/><target dev='vda' bus='virtio'/></disk>"
)

MACHINES = {
    "aarch64": Machine(
        "qemu-system-aarch64",
        "virt",
        _ALPHABET,
        DISK + VIRTIO + SCREEN.replace("MODEL", "ramfb") + FILE,
        cpu="<cpu mode='custom'><model>cortex-a57</model></cpu>",
    ),
    "armv7l": Machine(
        "qemu-system-arm",
        "vexpress-a9",
        b"\xfe\xff\xff\xea" * 1024,  # b .
        DISK.replace("'vda' bus='virtio'", "'sda' bus='sd'")
        + "<serial type='pty'/><memballoon model='none'/>",
    ),
    "riscv64": Machine(
        "qemu-system-riscv64",
        "virt",
        b"\x6f\x00\x00\x00" * 1024,  # j .
        DISK + VIRTIO + SCREEN.replace("MODEL", "virtio") + "<serial type='pty'/>",
    ),
    "s390x": Machine(
        "qemu-system-s390x",
        "s390-ccw-virtio",
        b"\xa7\xf4\x00\x00" * 0x8000,  # j .
        DISK + VIRTIO + "<console type='pty'><target type='sclp'/></console>"
        "<panic model='s390'/><controller type='usb' model='none'/>",
    ),
    "i686": Machine(
        "qemu-system-i386",
        "pc",
        None,
        DISK + VIRTIO + SCREEN.replace("MODEL", "vga") + "<serial type='pty'/>",
    ),
    "ppc64": Machine(
        "qemu-system-ppc64",
        "pseries",
        None,
        DISK + VIRTIO + SCREEN.replace("MODEL", "vga") + "<serial type='pty'/>"
        "<panic model='pseries'/>",
        memory=256,
    ),
}


def xml(arch: str, machine: Machine, emulator: str) -> str:
    """The XML of the guest."""
    kernel = f"<kernel>{IMAGES}/kernel</kernel>" if machine.kernel else ""
    return (
        f"<domain type='qemu'><name>a</name><uuid>{guest.uuid(1)}</uuid>"
        f"<memory unit='MiB'>{machine.memory}</memory>"
        f"<os><type arch='{arch}' machine='{machine.name}'>hvm</type>{kernel}</os>{machine.cpu}"
        f"<devices><emulator>{emulator}</emulator>{machine.devices}</devices></domain>"
    )


@pytest.mark.parametrize("arch", MACHINES)
def test_a_guest_of_another_architecture_moves(ready: PrivateHost, arch: str) -> None:
    machine = MACHINES[arch]
    emulator = shutil.which(machine.emulator)
    if emulator is None:
        if os.environ.get("UUIDFS_LIVE_ARCHITECTURES") == "1":
            pytest.fail(f"no {machine.emulator}")
        pytest.skip(f"no QEMU of another architecture: {machine.emulator}")
    if machine.kernel:
        ready.path(f"{IMAGES}/kernel").write_bytes(machine.kernel)
    start(ready, xml(arch, machine, emulator))
    console = ready.path(f"{IMAGES}/1.console")
    if machine.kernel == _ALPHABET:
        wait_for(console.read_text, "the guest prints")
    move(ready, "a")
    if machine.kernel == _ALPHABET:
        home = len(console.read_text())
        wait_for(lambda: len(console.read_text()) > home + 26, "the guest prints on")
        steps = {(ord(b) - ord(a)) % 26 for a, b in pairwise(console.read_text())}
        assert steps == {1}, console.read_text()
    used = cpu_time(ready, "a")
    wait_for(lambda: cpu_time(ready, "a") > used, "the guest's CPU runs")
