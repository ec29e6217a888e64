"""libvirt's ABI check allows everything that devices.in_peer and at_home make of a domain.

One daemon, and no guest: see :mod:`tests.live.abi`. The defects show that the check can refuse.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from tests.live import abi, guest
from tests.live.abi import Question, on_the_way
from tests.live.private_host import PrivateHost
from uuidfs.localmigration import devices
from uuidfs.localmigration.domain_xml import parse

DOMAINS = sorted((Path(__file__).parents[1] / "data/domains").glob("*.xml"))


@pytest.fixture(scope="module")
def daemon(shared: Path) -> Iterator[PrivateHost]:
    """One for all tests here; nothing stays defined in it."""
    with PrivateHost(cache=shared / "cache") as host:
        yield host


def with_devices(text: str) -> str:
    """A guest with these devices; its memory is shared, which 11.3 wants for vhost-user."""
    shared = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
    xml = guest.domain("a", 1).replace("<os>", f"{shared}<os>")
    return xml.replace("<controller type='usb' model='none'/>", text)


def pci(slot: int = 7) -> str:
    """An address, so that a device is where it was whatever it is called."""
    return f"<address type='pci' domain='0x0000' bus='0x00' slot='0x{slot:02x}' function='0x0'/>"


def card(kind: str, inside: str, *, mac: int = 9, model: str = "virtio", slot: int = 7) -> str:
    """A network card."""
    return (
        f"<interface type='{kind}'><mac address='52:54:00:00:00:{mac:02x}'/>{inside}"
        f"<model type='{model}'/>{pci(slot)}</interface>"
    )


def tpm(how: str, model: str = "tpm-crb") -> str:
    """An emulated TPM."""
    return f"<tpm model='{model}'><backend type='emulator' {how}/></tpm>"


def vsock(cid: str, *, model: str = "virtio", slot: int = 7) -> str:
    """A vsock device."""
    return f"<vsock model='{model}'>{cid}{pci(slot)}</vsock>"


def rng(backend: str, *, model: str = "virtio", slot: int = 7) -> str:
    """A device for random numbers."""
    return f"<rng model='{model}'>{backend}{pci(slot)}</rng>"


def channel(name: str, kind: str = "unix") -> str:
    """A port of virtio-serial."""
    return f"<channel type='{kind}'><target type='virtio' name='{name}'/></channel>"


EGD = (
    "<backend model='egd' type='tcp'><source mode='connect' host='127.0.0.1' service='1'/>"
    "<protocol type='raw'/></backend>"
)
RANDOM = "<backend model='random'>/dev/urandom</backend>"
SPICE = "<graphics type='spice' autoport='yes' listen='127.0.0.1'/>"
PASST = (
    "<backend type='passt'/><portForward proto='tcp'><range start='2222' to='22'/></portForward>"
)
LISTENING = "<source mode='bind' host='127.0.0.1' service='4555'/><protocol type='raw'/>"
UDP = (
    "<source mode='bind' host='127.0.0.1' service='4556'/>"
    "<source mode='connect' host='127.0.0.1' service='4557'/>"
)

# Every group of devices in uuidfs.localmigration.devices, whether or not it can move.
GROUPS: dict[str, tuple[str, ...]] = {
    "consoles": (
        "<serial type='pty'/>",
        "<serial type='pty'><log file='/var/lib/libvirt/images/log' append='off'/></serial>",
        "<serial type='file'><source path='/f'/><log file='/l'/></serial>",
        "<serial type='unix'><source mode='bind' path='/s'/></serial>",
        f"<serial type='tcp'>{LISTENING}<log file='/l'/></serial>",
        f"<serial type='udp'>{UDP}</serial>",
        "<serial type='dev'><source path='/dev/ttyS7'/></serial>",
        "<serial type='pipe'><source path='/p'/></serial>",
        "<serial type='null'/><serial type='pty'/><serial type='file'><source path='/f'/></serial>",
        "<parallel type='file'><source path='/f'/></parallel>",
        f"<parallel type='udp'>{UDP}</parallel>",
        "<parallel type='unix'><source mode='bind' path='/s'/></parallel>",
        "<console type='pty'/><console type='pty'><target type='virtio'/></console>",
        "<console type='unix'><source mode='bind' path='/s'/><target type='virtio'/></console>",
        channel("org.qemu.guest_agent.0") + channel("com.redhat.spice.0", "spicevmc") + SPICE,
        channel("a.pty", "pty") + channel("a.null", "null"),
        f"<channel type='tcp'>{LISTENING}<target type='virtio' name='t'/></channel>",
        "<channel type='pty'><target type='guestfwd' address='10.0.2.1' port='4600'/></channel>",
    ),
    "graphics": (
        "<graphics type='vnc' port='5917' websocket='5817' autoport='no' listen='127.0.0.1' "
        "passwd='secret'/>",
        "<graphics type='vnc'><listen type='socket' socket='/s'/></graphics>",
        "<graphics type='vnc'><listen type='network' network='n'/></graphics>",
        f"{SPICE}<graphics type='vnc' autoport='yes'/>",
        "<graphics type='spice'><listen type='none'/></graphics>",
        "<graphics type='egl-headless'/>",
    ),
    "interfaces": (
        card("bridge", "<source bridge='br0'/><target dev='tap0'/>"),
        card("network", "<source network='n'/>", model="e1000e")
        + card("network", "<source network='m' portgroup='p'/>", mac=8, slot=8),
        card(
            "bridge",
            "<source bridge='br0'/><virtualport type='openvswitch'><parameters "
            "interfaceid='11111111-2222-4333-8444-000000000001'/></virtualport>",
        ),
        card(
            "bridge",
            "<source bridge='br0'/><filterref filter='clean-traffic'>"
            "<parameter name='IP' value='10.0.0.1'/></filterref>",
        ),
        card("direct", "<source dev='eth0' mode='bridge'/>"),
        card("direct", "<source dev='eth0' mode='vepa'/>"),
        card("ethernet", "<target dev='tap7' managed='no'/>"),
        card("user", ""),
        card("user", PASST),
        card("vhostuser", "<source type='unix' path='/x' mode='server'/>"),
    ),
    "disks": (
        "<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>",
        "<disk type='network'><source protocol='nbd' name='n'><host name='h'/></source>"
        "<target dev='vdb' bus='virtio'/></disk>",
        "<disk type='block' device='lun'><source dev='/dev/sdz'/><target dev='sda' bus='scsi'/>"
        "</disk>",
    ),
    "tpm": (
        tpm("version='2.0'"),
        tpm("version='2.0' persistent_state='yes'"),
        tpm("version='1.2'", "tpm-tis"),
    ),
    "others": (
        vsock("<cid auto='yes'/>"),
        vsock("<cid auto='no' address='5'/>"),
        rng(EGD),
        rng(RANDOM),
        "<filesystem type='mount' accessmode='passthrough'><source dir='/s'/><target dir='t'/>"
        f"{pci()}</filesystem>",
        "<smartcard mode='passthrough' type='spicevmc'/>" + SPICE,
        "<redirdev bus='usb' type='spicevmc'/>" + SPICE,
        "<input type='tablet' bus='usb'/><sound model='ich6'/><video><model type='qxl'/></video>",
    ),
}

# What Debian 12's libvirt does not know.
NEWER = {"passt"}


def refusals(host: PrivateHost, titles: list[str], xmls: list[str]) -> dict[str, list[str]]:
    """What the check says against the way out and the way home of each; empty when nothing."""
    said: dict[str, list[str]] = {}
    asked: list[tuple[str, Question]] = []
    for title, defined in zip(titles, abi.as_defined(host, xmls), strict=True):
        if isinstance(defined, str):
            asked += [(title, question) for question in on_the_way(defined)]
        elif NEWER.isdisjoint(title.split("'")):
            said[title] = [defined.reason]
    for (title, _), answer in zip(asked, abi.ask(host, [one for _, one in asked]), strict=True):
        if answer is not None:
            said.setdefault(title, []).append(answer)
    return said


def test_of_every_sample_domain_it_allows_the_way_out_and_home(daemon: PrivateHost) -> None:
    assert len(DOMAINS) >= 19
    texts = [path.read_text() for path in DOMAINS]
    assert refusals(daemon, [path.stem for path in DOMAINS], texts) == {}


def test_of_every_group_of_devices_it_allows_the_way_out_and_home(daemon: PrivateHost) -> None:
    modules = {path.stem for path in Path(devices.__file__).parent.glob("[a-z]*.py")}
    modules -= {"facts", "filters"}  # of interfaces
    # The former changes nothing; whether another NVRAM path is allowed, test_firmware_more.py asks.
    modules -= {"filesystems", "firmware"}
    assert GROUPS.keys() == modules, "each module of devices has its samples here"
    samples = [(f"{group}: {text}", text) for group, texts in GROUPS.items() for text in texts]
    questions = [with_devices(text) for _, text in samples]
    assert refusals(daemon, [title for title, _ in samples], questions) == {}


# What a guest cannot see, and uuidfs changes or may come to change.
ALLOWED = {
    "another automatic CID": (vsock("<cid auto='yes' address='5'/>"), vsock("<cid auto='yes'/>")),
    "another fixed CID": (
        vsock("<cid auto='no' address='5'/>"),
        vsock("<cid auto='no' address='6'/>"),
    ),
    "macvtap to a bridge": (
        card("direct", "<source dev='eth0' mode='bridge'/>"),
        card("bridge", "<source bridge='br0'/>"),
    ),
    "vhost-user to a bridge": (
        card("vhostuser", "<source type='unix' path='/x' mode='server'/>"),
        card("bridge", "<source bridge='br0'/>"),
    ),
    "no network filter": (
        card("bridge", "<source bridge='br0'/><filterref filter='clean-traffic'/>"),
        card("bridge", "<source bridge='br0'/>"),
    ),
    "a TPM whose state persists": (
        tpm("version='2.0'"),
        tpm("version='2.0' persistent_state='yes'"),
    ),
    "egd to /dev/urandom": (rng(EGD), rng(RANDOM)),
    "a console without its log": (
        "<serial type='pty'><log file='/l'/></serial>",
        "<serial type='null'/>",
    ),
    "other graphics": (SPICE, "<graphics type='vnc' autoport='yes'/>"),
    "no graphics": (SPICE, ""),
}


def test_what_a_guest_cannot_see_may_change(daemon: PrivateHost) -> None:
    """Facts about libvirt that a change of devices may rest on."""
    screen = "<video><model type='vga'/></video>"  # which libvirt adds only beside graphics
    befores = [with_devices(before + screen) for before, _ in ALLOWED.values()]
    afters = [with_devices(after + screen) for _, after in ALLOWED.values()]
    questions = [
        Question(defined, after)
        for defined, after in zip(abi.as_defined(daemon, befores), afters, strict=True)
        if isinstance(defined, str)
    ]
    assert len(questions) == len(ALLOWED)
    said = dict(zip(ALLOWED, abi.ask(daemon, questions), strict=True))
    assert {title: answer for title, answer in said.items() if answer} == {}


def without(path: str) -> Callable[[etree._Element], None]:
    """Removes devices, as a careless to_peer might."""

    def change(domain: etree._Element) -> None:
        for device in domain.findall(path):
            parent = device.getparent()
            assert parent is not None
            parent.remove(device)

    return change


def setting(path: str, attribute: str, value: str) -> Callable[[etree._Element], None]:
    """Sets an attribute of devices, or of what is in them."""

    def change(domain: etree._Element) -> None:
        for element in domain.findall(path):
            element.set(attribute, value)

    return change


MANY = (
    "<serial type='null'/><serial type='pty'/><serial type='file'><source path='/f'/></serial>"
    + channel("org.qemu.guest_agent.0")
    + channel("a.pty", "pty")
    + card("network", "<source network='n'/>", slot=9)
    + tpm("version='2.0'")
    + vsock("<cid auto='yes'/>", slot=10)
    + rng(EGD, slot=11)
    + f"<filesystem type='mount'><source dir='/s'/><target dir='t'/>{pci(12)}</filesystem>"
    + "<sound model='ich6'/><watchdog model='ib700'/>"
)


@pytest.mark.parametrize(
    ("defect", "reason"),
    [
        (without("devices/serial"), "serial port count"),
        (without("devices/channel"), "channel count"),
        (without("devices/interface"), "net card count"),
        (without("devices/tpm"), "TPM device count"),
        (without("devices/rng"), "RNG device count"),
        (without("devices/vsock"), "vsock device count"),
        (without("devices/filesystem"), "filesystem count"),
        (without("devices/disk"), "disk count"),
        (without("devices/sound"), "sound card count"),
        (without("devices/watchdog"), "Target domain watchdog"),
        (without("devices/interface/address"), "PCI address"),
        (setting("devices/interface/mac", "address", "52:54:00:00:00:01"), "network card mac"),
        (setting("devices/interface/model", "type", "e1000"), "network card model"),
        (setting("devices/interface/address", "slot", "0x1e"), "PCI address"),
        (setting("devices/channel/target", "name", "else"), "channel name"),
        (setting("devices/tpm", "model", "tpm-tis"), "TPM device model"),
        (setting("devices/tpm/backend", "version", "1.2"), "TPM"),
        (setting("devices/rng", "model", "virtio-transitional"), "RNG model"),
        (setting("devices/vsock", "model", "virtio-transitional"), "vsock device model"),
        (setting("devices/vsock/address", "slot", "0x1e"), "PCI address"),
        (setting("devices/filesystem/target", "dir", "else"), "filesystem guest target"),
        (setting("devices/sound", "model", "ac97"), "sound card model"),
        (setting("devices/disk/target", "dev", "vdb"), "disk vdb"),
        (setting("devices/controller[@type='virtio-serial']/address", "slot", "0x1e"), "PCI"),
        (setting("os/type", "machine", "q35"), "machine type"),
    ],
)
def test_a_defect_put_into_the_way_out_is_refused(
    daemon: PrivateHost, defect: Callable[[etree._Element], None], reason: str
) -> None:
    (defined,) = abi.as_defined(daemon, [with_devices(MANY)])
    assert isinstance(defined, str), defined
    before, after = on_the_way(defined)[0]
    wrong = parse(after)
    defect(wrong)
    text = etree.tostring(wrong, encoding="unicode")
    assert text != etree.tostring(parse(after), encoding="unicode"), "nothing was changed"
    right, refused = abi.ask(daemon, [Question(before, after), Question(before, text)])
    assert right is None
    assert refused is not None
    assert reason in refused
