"""What a domain's XML says about moving it."""

import pytest
from lxml import etree

from uuidfs.errors import UuidfsError
from uuidfs.host import redefine
from uuidfs.localmigration import devices as kinds
from uuidfs.localmigration import domain_xml

HOST = kinds.HostFacts()

PLAIN = """
<disk type='file' device='disk'><source file='/d'/><target dev='vda' bus='virtio'/></disk>
<interface type='bridge'><source bridge='br0'/><target dev='vnet0'/></interface>
<serial type='pty' tty='/dev/pts/3'><source path='/dev/pts/3'/><target port='0'/></serial>
<graphics type='vnc' port='5901' autoport='no' listen='127.0.0.1' websocket='5701'
          passwd='secret'><listen type='address' address='127.0.0.1'/></graphics>
"""


def xml(devices: str = PLAIN, top: str = "", name: str = "a") -> str:
    return (
        f"<domain type='kvm'><name>{name}</name>{top}<devices>"
        f"<emulator>/usr/bin/qemu</emulator>{devices}</devices></domain>"
    )


def reasons(devices: str, top: str = "") -> list[str]:
    return kinds.obstacles(domain_xml.parse(xml(devices, top)), HOST)


def one(text: str, path: str) -> etree._Element:
    found = domain_xml.parse(text).find(path)
    assert found is not None
    return found


def attributes(element: etree._Element) -> dict[str, str]:
    return {str(key): str(value) for key, value in element.attrib.items()}


def test_a_plain_domain_can_move() -> None:
    assert reasons(PLAIN) == []


@pytest.mark.parametrize(
    ("devices", "reason"),
    [
        (
            "<hostdev mode='subsystem' type='pci'><alias name='hostdev0'/></hostdev>",
            "hostdev hostdev0: a host device is passed through",
        ),
        (
            "<filesystem type='mount'><driver type='virtiofs'/><source dir='/x'/></filesystem>",
            "filesystem (mount): its virtiofsd cannot be found",
        ),
        (
            "<shmem name='s'><alias name='shmem0'/></shmem>",
            "shmem shmem0: memory shared with others",
        ),
        (
            "<memory model='nvdimm'><source><path>/n</path></source></memory>",
            "memory (nvdimm): its file",
        ),
        (
            "<memory model='virtio-pmem'><alias name='virtiopmem0'/></memory>",
            "memory virtiopmem0: its file",
        ),
        (
            "<input type='evdev'><source dev='/dev/input/event1'/></input>",
            "input (evdev): a device",
        ),
        ("<input type='passthrough' bus='virtio'/>", "input (passthrough): a device"),
        ("<smartcard mode='host'/>", "smartcard (default): a device of the host"),
        ("<redirdev bus='usb' type='tcp'/>", "redirdev (tcp): its backend"),
        (
            "<tpm model='tpm-crb'><backend type='passthrough'/></tpm>",
            "tpm (tpm-crb): a TPM of type passthrough",
        ),
        (
            "<tpm model='tpm-tis'><backend type='emulator'><source type='file' path='/s'/>"
            "</backend></tpm>",
            "tpm (tpm-tis): its state has a path of its own",
        ),
        ("<disk type='volume'><target dev='vdb'/></disk>", "disk vdb: a disk of type volume"),
        ("<disk type='vhostuser'><target dev='vdb'/></disk>", "disk vdb: a disk of type vhostuser"),
        ("<disk type='file'><transient/><target dev='vdb'/></disk>", "disk vdb: a transient disk"),
        (
            "<disk type='block'><source dev='/d'><reservations managed='yes'/></source>"
            "<target dev='sda'/></disk>",
            "disk sda: persistent reservations",
        ),
        ("<serial type='nmdm'/>", "serial (nmdm): a backend of type nmdm"),
        ("<channel type='spiceport'/>", "channel (spiceport): a backend of type spiceport"),
        ("<channel type='qemu-vdagent'/>", "channel (qemu-vdagent): a backend of type"),
        ("<sound model='usb'/>", "sound (usb): QEMU cannot migrate it"),
        ("<sound model='virtio'/>", "sound (virtio): QEMU cannot migrate it"),
        ("<controller type='nvme'/>", "controller (nvme): QEMU cannot migrate it"),
        (
            "<video><model type='virtio'><acceleration accel3d='yes'/></model></video>",
            "video (default): QEMU cannot migrate 3D",
        ),
        ("<graphics type='sdl'/>", "graphics (sdl): graphics of type sdl"),
    ],
)
def test_what_cannot_move_is_named(devices: str, reason: str) -> None:
    found = reasons(PLAIN + devices)
    assert len(found) == 1
    assert found[0].startswith(reason) or reason in found[0]


@pytest.mark.parametrize(
    "devices",
    [
        "<filesystem type='mount'><source dir='/x'/><target dir='share'/></filesystem>",
        "<smartcard mode='passthrough' type='spicevmc'/>",
        "<redirdev bus='usb' type='spicevmc'/>",
        "<rng model='virtio'><backend model='egd' type='udp'/></rng>",
        "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        "<memory model='dimm'/>",
        "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
        "<disk type='file'><source file='/d'><encryption format='luks'><secret type='passphrase' "
        "uuid='u'/></encryption></source><target dev='vdb'/></disk>",
        "<vsock model='virtio'><cid auto='yes' address='3'/></vsock>",
        "<vsock model='virtio'><cid auto='no' address='4711'/></vsock>",
        "<channel type='unix'><source mode='bind' path='/s'/></channel>",
        "<disk type='network'><source protocol='nbd' name='n'/><target dev='vdb'/></disk>",
    ],
)
def test_what_can_move_is_not_refused(devices: str) -> None:
    assert reasons(devices) == []


def test_encrypted_guests_and_own_options_are_refused() -> None:
    assert reasons("", "<launchSecurity type='sev'/>")[0].startswith("launchSecurity: ")
    own = "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/>"
    assert reasons("", own)[0].startswith("qemu:commandline: ")


def test_all_obstacles_are_told_at_once() -> None:
    assert len(reasons("<hostdev/><shmem/><tpm/>")) == 3


def test_in_the_peer_nothing_clashes() -> None:
    away = kinds.in_peer(xml(), domain_xml.parse(xml()), None, HOST)
    serial = one(away, "devices/serial")
    assert attributes(serial) == {"type": "null"}
    assert [child.tag for child in serial] == ["target"]
    graphics = one(away, "devices/graphics")
    assert attributes(graphics) == {"type": "vnc", "passwd": "secret"}
    assert [attributes(child) for child in graphics] == [{"type": "socket"}]
    assert one(away, "devices/emulator").text == "/usr/bin/qemu"


def test_a_console_file_is_gone_on_with_in_both_processes() -> None:
    device = "<serial type='file'><source path='/f'/><target port='0'/></serial>"
    for text in (
        kinds.in_peer(xml(device), domain_xml.parse(xml(device)), None, HOST),
        kinds.at_home(xml(device), None),
    ):
        source = one(text, "devices/serial[@type='file']/source")
        assert attributes(source) == {"path": "/f", "append": "on"}


def test_the_peer_keeps_a_tpms_state() -> None:
    device = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
    peer = kinds.in_peer(xml(device), domain_xml.parse(xml(device)), None, HOST)
    away = one(peer, "devices/tpm/*")
    assert attributes(away) == {"type": "emulator", "version": "2.0", "persistent_state": "yes"}
    home = one(kinds.at_home(xml(device), None), "devices/tpm/*")
    assert attributes(home) == {"type": "emulator", "version": "2.0"}


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/var/log/libvirt/qemu/a-serial0.log", "/peer/host-log/qemu/a-serial0.log"),
        ("/var/log//libvirt/./qemu/../a.log", "/peer/host-log/a.log"),
        ("/var/log/libvirt-old/a.log", "/var/log/libvirt-old/a.log"),
        ("/srv/a.log", "/srv/a.log"),
    ],
)
def test_a_file_where_the_peer_has_its_own_is_the_hosts(path: str, seen: str) -> None:
    device = (
        f"<serial type='file'><source path='{path}'/><log file='{path}'/><target port='0'/>"
        "</serial>"
    )
    elsewhere = {"/var/log/libvirt": "/peer/host-log"}
    away = kinds.in_peer(xml(device), domain_xml.parse(xml(device)), None, HOST, elsewhere)
    assert one(away, "devices/serial/source").get("path") == seen
    assert one(away, "devices/serial/log").get("file") == seen
    home = kinds.at_home(xml(device), None)
    assert one(home, "devices/serial/source").get("path") == path
    assert one(home, "devices/serial/log").get("file") == path


@pytest.mark.parametrize("kind", ["pty", "unix", "tcp", "udp", "dev", "pipe", "null"])
def test_a_log_is_gone_on_with_whatever_is_connected(kind: str) -> None:
    device = (
        f"<serial type='{kind}'><source mode='bind' path='/s'/><protocol type='raw'/>"
        "<log file='/l' append='off'/><target port='0'/></serial>"
    )
    peer = kinds.in_peer(xml(device), domain_xml.parse(xml(device)), None, HOST)
    away = one(peer, "devices/serial")
    assert away.get("type") == "null"
    home = one(kinds.at_home(xml(device), None), "devices/serial")
    assert home.get("type") == kind
    assert [child.tag for child in home] == ["source", "protocol", "log", "target"]
    for end in (away, home):
        log = end.find("log")
        assert log is not None
        assert attributes(log) == {"file": "/l", "append": "on"}


@pytest.mark.parametrize("cid", ["auto='yes' address='3'", "auto='no' address='4711'"])
def test_a_vsock_has_another_cid_in_the_peer(cid: str) -> None:
    device = f"<vsock model='virtio'><cid {cid}/></vsock>"
    away = kinds.in_peer(xml(device), domain_xml.parse(xml(device)), None, HOST)
    assert attributes(one(away, "devices/vsock/cid")) == {"auto": "yes"}
    assert f"<cid {cid}/>".replace("'", '"') in kinds.at_home(xml(device), None)


def test_random_numbers_are_the_kernels_in_the_peer() -> None:
    device = (
        "<rng model='virtio'><rate bytes='9'/><backend model='egd' type='tcp'>"
        "<source mode='connect' host='h' service='1'/></backend></rng>"
    )
    away = one(kinds.in_peer(xml(device), domain_xml.parse(xml(device)), None, HOST), "devices/rng")
    assert [child.tag for child in away] == ["rate", "backend"]
    assert attributes(away[1]) == {"model": "random"}
    assert away[1].text == "/dev/urandom"
    assert not len(away[1])
    home = one(kinds.at_home(xml(device), None), "devices/rng/backend")
    assert attributes(home) == {"model": "egd", "type": "tcp"}


def test_labels_of_a_security_driver_stay_at_home() -> None:
    labels = (
        "<seclabel type='dynamic' model='apparmor'/><seclabel type='static' model='selinux'/>"
        "<seclabel type='static' model='dac'/><seclabel type='none' model='none'/>"
    )
    away = domain_xml.parse(
        kinds.in_peer(xml("", labels), domain_xml.parse(xml("", labels)), None, HOST)
    )
    assert [label.get("model") for label in away.findall("seclabel")] == ["dac", "none"]
    home = domain_xml.parse(kinds.at_home(xml("", labels), None))
    assert len(home.findall("seclabel")) == 4


def test_at_home_all_else_is_as_it_was() -> None:
    assert etree.canonicalize(kinds.at_home(xml(), None)) == etree.canonicalize(xml())


def test_another_emulator() -> None:
    for text in (
        kinds.at_home(xml(), "/opt/qemu"),
        kinds.in_peer(xml(), domain_xml.parse(xml()), "/opt/qemu", HOST),
        domain_xml.set_emulator_text(xml(), "/opt/qemu"),
    ):
        assert text is not None
        assert one(text, "devices/emulator").text == "/opt/qemu"
    assert domain_xml.set_emulator_text(xml(), "/usr/bin/qemu") is None


def test_names() -> None:
    assert one(domain_xml.renamed(xml(), "b&c"), "name").text == "b&c"
    inside = f"<domainsnapshot><name>s</name>{xml()}</domainsnapshot>"
    changed = redefine.renamed_inside(inside, "b")
    assert (one(changed, "name").text, one(changed, "domain/name").text) == ("s", "b")
    assert redefine.renamed_inside(inside, None) == inside


def test_what_is_no_xml_is_said_so() -> None:
    with pytest.raises(UuidfsError, match="cannot be parsed"):
        domain_xml.parse("<domain>")
