"""A guest that costs nothing: 512 bytes of code, 16 MiB, no network, no graphics.

Its identities are fixed, so that what two hosts say about it can be compared literally.
"""

import subprocess
from pathlib import Path
from xml.sax.saxutils import escape

from tests.live.private_host import PrivateHost

# Waits for the timer, counts, prints the count on COM1 as four letters, again and again:
#   xor ax,ax; mov ds,ax; sti; xor bx,bx
#   again: hlt; inc bx; mov dx,0x3f8; mov cx,4; mov ax,bx
#   digit: rol ax,4; push ax; and al,15; add al,'a'; out dx,al; pop ax; loop digit
#   mov al,'\n'; out dx,al; jmp again
_CODE = bytes.fromhex("31c08ed8fb31dbf443baf803b9040089d8c1c00450240f0461ee58e2f4b00aeeebe5")
BOOT_SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"
DISKS = 3


def uuid(number: int) -> str:
    """The UUID of guest ``number``."""
    return f"00000000-0000-4000-8000-{number:012d}"


def disk(number: int) -> str:
    """The path of the disk of guest ``number``."""
    return f"/var/lib/libvirt/images/{number}.qcow2"


def domain(name: str, number: int, *, memory: int = 16, extra: str = "") -> str:
    """The XML of guest ``number`` under a name. ``extra`` goes below <os>."""
    return f"""\
<domain type='qemu'>
  <name>{escape(name)}</name>
  <uuid>{uuid(number)}</uuid>
  <memory unit='MiB'>{memory}</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type>{extra}</os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{disk(number)}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='file'><source path='/var/lib/libvirt/images/{number}.console'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def checkpoint(name: str, parent: str | None = None, when: int = 1700000000) -> str:
    """The XML of a checkpoint, for checkpoint-create --redefine."""
    above = f"<parent><name>{escape(parent)}</name></parent>" if parent else ""
    return f"""\
<domaincheckpoint>
  <name>{escape(name)}</name>{above}
  <creationTime>{when}</creationTime>
  <disks><disk name='vda' checkpoint='bitmap' bitmap='{escape(name)}'/></disks>
</domaincheckpoint>
"""


def make_disk_template(directory: Path) -> Path:
    """Make the disk that all guests get a copy of."""
    raw, image = directory / "boot.raw", directory / "boot.qcow2"
    with raw.open("wb") as file:
        file.write(BOOT_SECTOR)
        file.truncate(1024 * 1024)  # SeaBIOS does not boot from a smaller disk
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(image)], check=True
    )
    return image


def add_disks(host: PrivateHost, template: Path) -> None:
    """Give a host the disks of guests 1 to DISKS."""
    for number in range(1, DISKS + 1):
        host.path(disk(number)).write_bytes(template.read_bytes())
