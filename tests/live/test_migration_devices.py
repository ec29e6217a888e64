"""Every kind of device: it comes home as it was, or is refused by name with nothing changed.

The guest is a boot sector with a counter on COM1, so it uses no disk, no network card and no
graphics itself: what is shown of those is what the host and a client see.
"""

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live import guest
from tests.live.devices import (
    Client,
    console,
    define,
    differences,
    disk,
    domain,
    gap,
    shown,
)
from tests.live.migration import counts, leftovers, processes, uuidfs, went_on
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for

IMAGES = "/var/lib/libvirt/images"


@pytest.fixture
def ready(uuidfs_works: None, host: PrivateHost) -> PrivateHost:
    """A host with the hook."""
    probe = host.run("/usr/bin/python3", "-c", "import libvirt")
    assert probe.code == 0, "python3-libvirt is not installed"
    host.install_hook()
    return host


def move(host: PrivateHost, *names: str, words: tuple[str, ...] = ()) -> None:
    """Move domains, and see that all is as before but for the process."""
    before = {name: (shown(host, name), host.qemu_pid(name)) for name in names}
    said = uuidfs(host, "local-migrate", *names, "--json", *words).ok().out
    moved = json.loads(said)["domains"]
    for name, (views, pid) in before.items():
        assert host.qemu_pid(name) != pid, f"{name} is in its old process"
        changed = differences(views, shown(host, name))
        assert not changed, "\n".join(changed)
        number = int(host.virsh("domuuid", name).ok().out.strip()[-3:])
        assert len(processes(host, guest.uuid(number))) == 1
    assert leftovers(host) == []
    print([(round(one["seconds"], 2), one["downtimes"]) for one in moved])


def refused(host: PrivateHost, name: str, reason: str, *words: str) -> None:
    """Assert that a trip is refused with a reason, with nothing changed."""
    before, pid = shown(host, name), host.qemu_pid(name)
    said = uuidfs(host, "local-migrate", name, *words)
    assert said.code == 1
    assert reason in said.err
    assert differences(before, shown(host, name)) == []
    assert host.qemu_pid(name) == pid
    assert leftovers(host) == []


def start(host: PrivateHost, *xmls: str) -> None:
    """Define and start domains."""
    for xml in xmls:
        define(host, xml)
    for xml in xmls:
        found = re.search("<name>(.*)</name>", xml)
        assert found
        host.virsh("start", found[1]).ok()


def wait_counting(host: PrivateHost, *several: int) -> None:
    """Wait until guests count, and go on counting."""
    for number in several:
        old = len(counts(host, number)) if host.path(f"{IMAGES}/{number}.console").exists() else 0
        wait_for(
            lambda number=number, old=old: len(counts(host, number)) > old + 1,  # type: ignore[misc]
            f"guest {number} counts",
        )


ACPI = "<features><acpi/></features>"


def serial(kind: str, source: str, more: str = "") -> str:
    """A serial port."""
    return f"<serial type='{kind}'>{source}{more}</serial>"


AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


def test_serial_ports_and_channels(ready: PrivateHost) -> None:
    unix = serial("unix", f"<source mode='bind' path='{IMAGES}/com.sock'/>")
    tcp = serial(
        "tcp", "<source mode='bind' host='127.0.0.1' service='4555'/>", "<protocol type='raw'/>"
    )
    other = serial(
        "tcp", "<source mode='bind' host='127.0.0.1' service='4556'/>", "<protocol type='telnet'/>"
    )
    virtio = "<console type='pty'><target type='virtio'/></console>"
    start(
        ready,
        domain("a", 1, unix + serial("null", "") + AGENT + "<parallel type='null'/>"),
        domain("b", 2, tcp + other + serial("pty", "")),
        domain("c", 3, serial("pty", "") + serial("file", f"<source path='{IMAGES}/x'/>") + virtio),
    )
    agent = agent_socket(ready)
    ready.run("ip", "link", "set", "lo", "up").ok()
    assert listens(ready, agent)
    clients = Client(ready, f"{IMAGES}/com.sock", "127.0.0.1:4555", "127.0.0.1:4556")
    old = pty(ready)
    # A console that was truncated at its start is gone on with; and a second console gets the
    # number that libvirt gives it in every migration (nothing of the guest's hangs on it).
    before = shown(ready, "c")
    uuidfs(ready, "local-migrate", "c").ok()
    changed = differences(before, shown(ready, "c"))
    assert changed[:2] == [
        f"live: -      <source path='{IMAGES}/x'/>",
        f"live: +      <source path='{IMAGES}/x' append='on'/>",
    ]
    assert changed[2:] in (
        [],
        [  # 11.3 leaves the number as it is
            "live: -    <console type='pty' tty='/dev/pts/N'>",
            "live: +    <console type='pty'>",
            "live: -      <target type='virtio' port='0'/>",
            "live: +      <target type='virtio' port='1'/>",
        ],
    )
    print("pty: ticks of 55 ms not read:", gap(old, pty(ready)))
    move(ready, "a", "b")
    # The agent's socket has the domain's id in its path, as after every start.
    assert agent_socket(ready) != agent
    assert listens(ready, agent_socket(ready))
    assert not ready.path(agent).exists()
    for address, seen in clients.over().items():
        print(f"{address}: {seen.how}, nobody there for {seen.silent} ms")
        assert seen.how in {"EOF", "ConnectionResetError"}
        assert seen.silent < 10000
        if address in {f"{IMAGES}/com.sock", "127.0.0.1:4555"}:
            print("ticks of 55 ms not read:", gap(seen.before, seen.after))


def agent_socket(host: PrivateHost) -> str:
    """Where libvirt put the socket of the guest agent of domain a."""
    found = re.search(r"path='(\S+org.qemu.guest_agent.0)'", host.virsh("dumpxml", "a").out)
    assert found
    return found[1]


def listens(host: PrivateHost, path: str) -> bool:
    """Whether QEMU, or libvirt in its name, has a socket open there."""
    return path in host.run("cat", "/proc/net/unix").ok().out


def pty(host: PrivateHost) -> str:
    """What domain c says on its first pty within a moment."""
    path = host.virsh("ttyconsole", "c").ok().out.strip()
    host.run("stty", "-F", path, "raw").ok()
    return host.run("timeout", "1.5", "cat", path).out


def test_consoles_in_files(ready: PrivateHost) -> None:
    start(ready, domain("a", 1, console(1)))
    wait_counting(ready, 1)
    for _ in range(2):
        move(ready, "a")
        wait_counting(ready, 1)
    print("largest gap, ticks of 55 ms:", went_on(counts(ready)))


def test_graphics(ready: PrivateHost) -> None:
    ready.run("ip", "link", "set", "lo", "up").ok()
    fixed = (
        "<graphics type='vnc' port='5917' websocket='5817' autoport='no' "
        "listen='127.0.0.1' passwd='secret'/>"
    )
    spice = (
        "<graphics type='spice' port='5930' autoport='no' listen='127.0.0.1'/>"
        "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>"
    )
    start(
        ready,
        domain("a", 1, fixed + console(1)),
        domain("b", 2, "<graphics type='vnc' autoport='yes' listen='127.0.0.1'/>" + console(2)),
        domain("c", 3, spice + console(3)),
    )
    wait_counting(ready, 1, 2, 3)
    vnc = Client(ready, "127.0.0.1:5917", "127.0.0.1:5817", "127.0.0.1:5900", "127.0.0.1:5930")
    move(ready, "a", "b", "c")
    for address, seen in vnc.over().items():
        print(f"{address}: {seen.how}, nobody there for {seen.silent} ms")
        assert seen.how in {"EOF", "ConnectionResetError"}
        assert seen.silent < 10000
        if address in {"127.0.0.1:5917", "127.0.0.1:5900"}:
            assert seen.before.startswith("RFB 003.008\n")
            assert seen.after.startswith("RFB 003.008\n")
    for number in (1, 2, 3):
        wait_counting(ready, number)
        went_on(counts(ready, number))
    assert "passwd='secret'" in shown(ready, "a")["live"]


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


def test_a_tpm_emulator_is_refused(ready: PrivateHost) -> None:
    number = 1
    if shutil.which("swtpm") is None:
        pytest.fail("swtpm is not installed")
    tpm = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"
    start(ready, domain("a", number, tpm + console(number)))
    wait_counting(ready, number)
    refused(ready, "a", "tpm (emulator): a QEMU process of its own keeps a state")
    wait_counting(ready, number)


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
