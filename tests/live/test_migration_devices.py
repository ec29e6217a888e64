"""Every kind of device: it comes home as it was, or is refused by name with nothing changed.

The guest is a boot sector with a counter on COM1, so it uses no disk, no network card and no
graphics itself: what is shown of those is what the host and a client see.
"""

import json
import re
import shutil
import subprocess

from tests.live import networks
from tests.live.devices import (
    console,
    define,
    differences,
    domain,
    shown,
)
from tests.live.migration import counts, uuidfs, went_on
from tests.live.moving import ACPI, IMAGES, move, refused, start, wait_counting
from tests.live.private_host import PrivateHost


def test_what_was_tuned_stays_tuned(ready: PrivateHost) -> None:
    top = (
        ACPI + "<vcpu current='1'>2</vcpu><iothreads>1</iothreads>"
        "<metadata><x:x xmlns:x='urn:x'>1</x:x></metadata>"
    )
    xml = domain("a", 1, console(1), top=top).replace(
        "</memory>", "</memory><currentMemory unit='MiB'>16</currentMemory>"
    )
    start(ready, xml)
    wait_counting(ready, 1)
    ready.run("qemu-img", "create", "-f", "raw", f"{IMAGES}/hot.raw", "1M").ok()
    for words in (
        ("setvcpus", "a", "2"),
        ("vcpupin", "a", "0", "0"),
        ("emulatorpin", "a", "0"),
        ("iothreadadd", "a", "7"),
        ("blkdeviotune", "a", "vda", "--total-iops-sec", "500"),
        (
            "attach-disk",
            "a",
            f"{IMAGES}/hot.raw",
            "vdx",
            "--targetbus",
            "virtio",
            "--subdriver",
            "raw",
        ),
        ("metadata", "a", "urn:x", "--set", "<x>2</x>", "--key", "x"),
        ("desc", "a", "--title", "a live title"),
    ):
        ready.virsh(*words, "--live").ok()
    before = shown(ready, "a")
    assert differences({"": before["live"]}, {"": before["inactive"]}), "nothing was changed live"
    move(ready, "a")
    wait_counting(ready, 1)
    went_on(counts(ready))
    throttle = ready.virsh("qemu-monitor-command", "a", "--hmp", "info block").ok().out
    assert "iops=500" in throttle
    allowed = ready.run("sh", "-c", f"cat /proc/{ready.qemu_pid('a')}/status").ok().out
    assert "Cpus_allowed_list:\t0\n" in allowed  # the emulator's
    assert "CPU #1" in ready.virsh("qemu-monitor-command", "a", "--hmp", "info cpus").ok().out


def test_kinds_of_domains_and_another_emulator(ready: PrivateHost) -> None:
    other, link, alone = "/run/other/bin/qemu", "/run/qemu-link", "/run/qemu-alone"
    ready.run("mkdir", "-p", "/run/other/bin").ok()
    for part in ("share", "lib"):  # where it looks for its firmware
        ready.run("ln", "-s", f"/usr/{part}", f"/run/other/{part}").ok()
    for path in (other, alone):
        shutil.copy("/usr/bin/qemu-system-x86_64", ready.path(path))
    ready.run("ln", "-s", other, link).ok()
    define(ready, domain("a", 1, console(1)), "create")
    start(ready, domain("b", 2, console(2)), domain("c", 3, console(3)))
    ready.virsh("snapshot-create-as", "c", "s1").ok()
    ready.virsh("autostart", "b").ok()
    ready.virsh("setmaxmem", "b", "24MiB", "--config").ok()
    ready.virsh("desc", "b", "--config", "not the live one").ok()
    wait_counting(ready, 1, 2, 3)
    move(ready, "a", "b")
    assert "Persistent:     no" in shown(ready, "a")["info"]
    for bad, reason in (
        ("/run/none", "there is no such program"),
        ("/bin/true", "--emulator /bin/true: "),
        ("/run/libvirt", "--emulator /run/libvirt: "),
    ):
        refused(ready, "c", reason, "--emulator", bad)
    # QEMU 7.2 does not find its firmware from there and says so when it starts; 10.0 does.
    moved = uuidfs(ready, "local-migrate", "c", "--emulator", alone)
    assert moved.code == 0 or "could not load PC BIOS" in moved.err
    wait_counting(ready, 3)
    for path in (other, link):
        before = shown(ready, "c")
        uuidfs(ready, "local-migrate", "c", "--emulator", path).ok()
        changed = differences(before, shown(ready, "c"))
        assert [line for line in changed if "<emulator>" not in line] == []
        assert [line for line in changed if f"+    <emulator>{path}</emulator>" in line] == [
            f"{view}: +    <emulator>{path}</emulator>" for view in ("inactive", "live")
        ]
        program = ready.run("readlink", f"/proc/{ready.qemu_pid('c')}/exe").ok().out.strip()
        assert program.endswith("/other/bin/qemu")
    for number in (1, 2, 3):
        wait_counting(ready, number)
        went_on(counts(ready, number))


# Says "up", and at the end of its standard input which cards announced themselves: the source
# addresses of the reverse ARP requests on a bridge.
LISTEN = r"""
import select, socket, sys
plug = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x8035))
plug.bind(("br0", 0x8035))
print("up", flush=True)
seen = []
while True:
    ready, _, _ = select.select([plug, sys.stdin], [], [])
    if plug in ready:
        seen.append(plug.recv(2048)[6:12].hex(":"))
    elif sys.stdin in ready:
        break
print(*seen)
"""


def test_cards_on_a_bridge_and_on_a_network(ready: PrivateHost) -> None:
    networks.drivers(ready)
    ready.run("ip", "link", "add", "br0", "type", "bridge").ok()
    ready.run("ip", "link", "set", "br0", "up").ok()
    define(
        ready,
        "<network><name>n</name><forward mode='bridge'/><bridge name='br0'/></network>",
        "net-define",
    )
    ready.virsh("net-start", "n").ok()
    macs = "52:54:00:00:00:01", "52:54:00:00:00:02"
    start(
        ready,
        domain(
            "a",
            1,
            console(1)
            + (
                f"<interface type='bridge'><mac address='{macs[0]}'/><source bridge='br0'/>"
                "<target dev='tap-a'/><model type='virtio'/></interface>"
                f"<interface type='network'><mac address='{macs[1]}'/><source network='n'/>"
                "<model type='e1000'/></interface>"
            ),
        ),
    )
    wait_counting(ready, 1)
    before = cards(ready)
    assert len(before) == 2
    listening = subprocess.Popen(
        [
            "nsenter",
            "-m",
            "-p",
            "-n",
            "-t",
            str(ready.keeper_pid),
            "--",
            "/usr/bin/python3",
            "-c",
            LISTEN,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert listening.stdout
    assert listening.stdout.readline() == "up\n"
    move(ready, "a")
    said = listening.communicate()[0].split()
    assert cards(ready) == before
    assert set(said) == set(macs), "not every card announced itself"
    print("announced:", {mac: said.count(mac) for mac in macs})
    wait_counting(ready, 1)
    went_on(counts(ready))


def cards(host: PrivateHost) -> list[tuple[str, str, str]]:
    """The interfaces on the bridge: name, state and the card's address as the tap has it."""
    ports = json.loads(host.run("ip", "-j", "link", "show", "master", "br0").ok().out)
    return sorted(
        (re.sub(r"vnet\d+", "vnetN", port["ifname"]), port["operstate"], port["address"])
        for port in ports
    )
