"""Guests with many models of devices at once: each that QEMU has here, moved there and back.

tests/live/moved.json says which kinds these tests stand for; each guest has all that fit into it.
"""

from tests.live.devices import console, disk, domain
from tests.live.guest import BOOT_SECTOR
from tests.live.migration import counts, went_on
from tests.live.moving import ACPI, IMAGES, move, refused, start, wait_counting
from tests.live.private_host import PrivateHost
from tests.live.test_migration_disks import cpu_time
from tests.support.process import wait_for


def drive(kind: str, target: str, bus: str, name: str, *, image: str = "raw") -> str:
    """A disk, CD-ROM or floppy with an image of its own."""
    return (
        f"<disk type='file' device='{kind}'><driver name='qemu' type='{image}'/>"
        f"<source file='{IMAGES}/{name}'/><target dev='{target}' bus='{bus}'/></disk>"
    )


def make(host: PrivateHost, *names: str, size: str = "1440K") -> None:
    """Make empty images."""
    for name in names:
        host.run("qemu-img", "create", "-f", "raw", f"{IMAGES}/{name}", size).ok()


def each(template: str, *models: str) -> str:
    """A device of each model."""
    return "".join(template.replace("MODEL", model) for model in models)


def cards(*models: str) -> str:
    """Network cards that need nothing of the host."""
    return each("<interface type='user'><model type='MODEL'/></interface>", *models)


def machine(xml: str, name: str = "q35") -> str:
    """The guest on another machine, with USB."""
    return xml.replace("machine='pc'", f"machine='{name}'").replace(
        "<controller type='usb' model='none'/>", ""
    )


def booted_from(number: int, target: str, bus: str) -> str:
    """The guest's own disk on another bus."""
    return disk(number, target).replace("bus='virtio'", f"bus='{bus}'")


EHCI = (
    "<controller type='usb' index='0' model='ich9-ehci1'/>"
    "<controller type='usb' index='0' model='ich9-uhci1'><master startport='0'/></controller>"
    "<controller type='usb' index='0' model='ich9-uhci2'><master startport='2'/></controller>"
    "<controller type='usb' index='0' model='ich9-uhci3'><master startport='4'/></controller>"
)

SPICE = "<graphics type='spice' autoport='yes' listen='127.0.0.1'/>"


def test_what_old_guests_have(ready: PrivateHost) -> None:
    make(ready, "cd", "fd", "usb", "lsi", "vsc")
    ready.run("ip", "link", "set", "lo", "up").ok()
    disks = (
        booted_from(1, "hda", "ide")
        + drive("cdrom", "hdc", "ide", "cd")
        + drive("floppy", "fda", "fdc", "fd")
        + drive("disk", "sda", "scsi", "lsi")
        + drive("disk", "sdu", "usb", "usb")
    )
    old = (
        console(1)
        + EHCI
        + "<controller type='usb' index='1' model='piix3-uhci'/>"
        + "<controller type='scsi' index='0' model='lsilogic'/>"
        + "<controller type='ccid' index='0'/>"
        + each("<controller type='pci' model='MODEL'/>", "pci-root", "pci-bridge")
        + each("<input type='MODEL' bus='usb'/>", "tablet", "mouse", "keyboard")
        + each("<sound model='MODEL'/>", "ich6", "ac97", "es1370", "sb16")
        + cards("rtl8139", "e1000", "pcnet", "ne2k_pci", "virtio", "vmxnet3")
        + "<graphics type='vnc' autoport='yes' listen='127.0.0.1'/>"
        + "<video><model type='cirrus' primary='yes'/></video><video><model type='qxl'/></video>"
        + "<watchdog model='ib700'/><hub type='usb'/><panic model='isa'/>"
        + f"<parallel type='file'><source path='{IMAGES}/lp' append='on'/></parallel>"
        + "<memballoon model='virtio'><stats period='5'/></memballoon>"
    )
    xml = machine(domain("a", 1, old, disks=disks, top=ACPI), "pc")
    xml = xml.replace("<memballoon model='none'/>", "")
    more = (
        console(2)
        + "<controller type='usb' index='0' model='nec-xhci'/>"
        + "<controller type='usb' index='1' model='ehci'/>"
        + "<controller type='usb' index='2' model='pci-ohci'/>"
        + "<controller type='scsi' index='0' model='lsisas1078'/>"
        + "<video><model type='vga'/></video><graphics type='vnc' listen='127.0.0.1'/>"
        + "<watchdog model='i6300esb'/>"
    )
    other = machine(domain("b", 2, more, disks=disk(2) + drive("disk", "sda", "scsi", "vsc")), "pc")
    start(ready, xml, other)
    wait_counting(ready, 1, 2)
    move(ready, "a", "b")
    for number in (1, 2):
        wait_counting(ready, number)
        went_on(counts(ready, number))


TOP = (
    "<maxMemory slots='4' unit='MiB'>2048</maxMemory><vcpu current='1'>4</vcpu>"
    "<iothreads>1</iothreads>"
    "<features><acpi/><apic/><ioapic driver='qemu'/><vmcoreinfo state='on'/></features>"
    "<cpu mode='custom' match='exact' check='none'><model fallback='allow'>qemu64</model>"
    "<topology sockets='1' dies='1' cores='4' threads='1'/>"
    "<numa><cell id='0' cpus='0-1' memory='128' unit='MiB'/>"
    "<cell id='1' cpus='2-3' memory='128' unit='MiB'/></numa></cpu>"
    "<clock offset='variable' adjustment='3600'><timer name='rtc' tickpolicy='catchup'/>"
    "<timer name='pit' tickpolicy='delay'/><timer name='hpet' present='no'/></clock>"
)


def test_what_new_guests_have(ready: PrivateHost) -> None:
    make(ready, "cd", "scd", "sd", "usb")
    ready.run("ip", "link", "set", "lo", "up").ok()
    disks = (
        booted_from(1, "sda", "sata")
        + drive("cdrom", "sdb", "sata", "cd")
        + drive("disk", "sdc", "scsi", "sd")
        + drive("cdrom", "sdd", "scsi", "scd")
        + drive("disk", "sde", "usb", "usb")
    )
    new = (
        console(1)
        + "<controller type='usb' index='0' model='qemu-xhci'/>"
        + "<controller type='scsi' model='virtio-scsi'><driver iothread='1'/></controller>"
        + each("<controller type='pci' model='MODEL'/>", "pcie-root", *["pcie-root-port"] * 20)
        + "<controller type='pci' model='pcie-to-pci-bridge'/>"
        + "<controller type='pci' model='pcie-expander-bus'><target busNr='180'/></controller>"
        + each("<input type='MODEL' bus='virtio'/>", "tablet", "mouse", "keyboard")
        + "<input type='tablet' bus='usb'/><sound model='ich9'/>"
        + cards("e1000e", "virtio-non-transitional")
        + SPICE
        + "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>"
        + each(
            "<channel type='MODEL'><target type='virtio' name='a.MODEL'/></channel>", "pty", "null"
        )
        + each("<redirdev bus='usb' type='MODEL'/>", "spicevmc", "spicevmc")
        + "<smartcard mode='passthrough' type='spicevmc'/>"
        + "<video><model type='virtio'/></video>"
        + each("<rng model='virtio'><backend model='MODEL'/></rng>", "builtin")
        + "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
        + "<watchdog model='i6300esb'/><memballoon model='virtio'/>"
    )
    xml = machine(domain("a", 1, new, disks=disks, top=TOP, memory=256))
    start(ready, xml.replace("<memballoon model='none'/>", ""))
    wait_counting(ready, 1)
    memory = (
        "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"
    )
    ready.path("/run/dimm.xml").write_text(memory)
    for words in (("attach-device", "a", "/run/dimm.xml"), ("setvcpus", "a", "3")):
        ready.virsh(*words, "--live").ok()
    move(ready, "a")
    wait_counting(ready, 1)
    went_on(counts(ready))


def kernel(host: PrivateHost, path: str) -> None:
    """Make the boot sector's code into what QEMU takes for a kernel of Linux 2.0.

    After a sector come a short jump, the header of boot protocol 2.00, and the code for real mode.
    """
    header = b"\xeb\x6eHdrS\x00\x02"
    setup = bytes(512) + header.ljust(0x70, b"\0") + BOOT_SECTOR
    host.path(path).write_bytes(setup.ljust(8192, b"\0"))


def test_what_is_started_otherwise(ready: PrivateHost) -> None:
    make(ready, "initrd", "nbd")
    kernel(ready, f"{IMAGES}/kernel")
    direct = (
        f"<kernel>{IMAGES}/kernel</kernel><initrd>{IMAGES}/initrd</initrd><cmdline>a=b</cmdline>"
    )
    secure = machine(
        domain(
            "b",
            2,
            console(2)
            + "<controller type='usb' model='qemu-xhci'/><video><model type='ramfb'/></video>"
            "<graphics type='vnc' listen='127.0.0.1'/>",
            top="<features><acpi/><smm state='on'/></features>",
            memory=64,
        )
    ).replace(
        "<os>",
        "<os firmware='efi'><firmware><feature enabled='yes' name='secure-boot'/></firmware>",
    )
    ready.run("ip", "link", "set", "lo", "up").ok()
    bochs = machine(
        domain(
            "c",
            3,
            console(3)
            + "<iommu model='intel'/><video><model type='bochs'/></video>"
            + "<graphics type='vnc' listen='127.0.0.1'/><input type='mouse' bus='ps2'/>",
        )
    )
    start(ready, domain("a", 1, console(1), os=direct), secure, bochs)
    wait_counting(ready, 1, 3)
    move(ready, "a", "b", "c")
    for number in (1, 3):
        wait_counting(ready, number)
        went_on(counts(ready, number))
    used = cpu_time(ready, "b")
    wait_for(lambda: cpu_time(ready, "b") > used, "the guest's CPU runs")


NBD = (
    "<disk type='network'><driver name='qemu' type='raw'/><source protocol='nbd'>"
    "<host transport='unix' socket='/run/nbd'/></source><target dev='vdd' bus='virtio'/></disk>"
)


def test_disks_that_others_have_too(ready: PrivateHost) -> None:
    """Such a guest's image locks do not keep a second process from writing."""
    make(ready, "shared", "nbd")
    ready.run(
        *("qemu-nbd", "--fork", "--persistent", "--shared=4", "--socket=/run/nbd", "--format=raw"),
        f"{IMAGES}/nbd",
    ).ok()
    ready.run("chown", "--reference=/var/lib/libvirt/qemu", "/run/nbd").ok()
    shared = drive("disk", "vdc", "virtio", "shared").replace("<target", "<shareable/><target")
    memory = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
    start(ready, domain("a", 1, console(1), disks=disk(1) + shared + NBD, top=memory))
    wait_counting(ready, 1)
    move(ready, "a")
    wait_counting(ready, 1)
    went_on(counts(ready))


def test_what_qemu_itself_does_not_migrate(ready: PrivateHost) -> None:
    """QEMU 7.2 and 10.0: said before the trip, not by a hop that fails."""
    sound = machine(domain("a", 1, console(1) + "<sound model='usb'/>"), "pc")
    agent = "<channel type='qemu-vdagent'><target type='virtio'/></channel>"
    start(ready, sound, domain("b", 2, console(2) + agent))
    refused(ready, "a", "sound sound0: QEMU cannot migrate it")
    refused(ready, "b", "channel channel0: a backend of type qemu-vdagent")
