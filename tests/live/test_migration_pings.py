"""What a network sees of a local migration: a guest that answers pings, from another namespace.

The guest is the boot program of its own network card (iPXE): it gets an address, then a script
that does nothing for ever, and answers pings all the time.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.live import netboot
from tests.live.devices import define, domain
from tests.live.migration import uuidfs
from tests.live.private_host import PrivateHost

MAC = "52:54:00:00:00:09"
ROMS = tuple(
    Path(f"/usr/{place}/pxe-virtio.rom")  # Debian 12's place and Debian 13's
    for place in ("lib/ipxe/qemu", "share/qemu")
)
LONGEST = 5.0  # seconds; about 0.1 on an idle machine


@pytest.fixture
def bridged(uuidfs_works: None, host: PrivateHost) -> PrivateHost:
    """A host with a bridge."""
    host.install_hook()
    for words in (
        "link add br0 type bridge",
        "link set br0 type bridge forward_delay 0",
        "addr add 10.9.0.1/24 dev br0",
        "link set br0 up",
    ):
        host.run("ip", *words.split()).ok()
    return host


def program(host: PrivateHost, text: str, *prefix: str) -> "subprocess.Popen[str]":
    """Start one of the programs in the host's namespaces."""
    return subprocess.Popen(
        [
            "nsenter",
            "-m",
            "-p",
            "-n",
            "-t",
            str(host.keeper_pid),
            "--",
            *prefix,
            "/usr/bin/python3",
            "-c",
            text,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_guest_answers_pings_from_another_namespace(bridged: PrivateHost) -> None:
    assert any(rom.exists() for rom in ROMS), "the package ipxe-qemu is missing"
    server = program(bridged, netboot.SERVER)
    assert server.stdout
    assert server.stdout.readline() == "up\n"
    define(
        bridged,
        domain(
            "a",
            1,
            (
                f"<interface type='bridge'><mac address='{MAC}'/><source bridge='br0'/>"
                "<model type='virtio'/></interface>"
            ),
            disks="",
            os="<boot dev='network'/>",
            memory=64,
        ),
    )
    bridged.virsh("start", "a").ok()
    # The second namespace: made by unshare, and one end of a pair of cards moved into it.
    bridged.run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far").ok()
    bridged.run("ip", "link", "set", "near", "master", "br0", "up").ok()
    pings = program(
        bridged,
        netboot.PINGS,
        "unshare",
        "--net",
        "sh",
        "-c",
        'echo $$; read -r ready; ip addr add 10.9.0.2/24 dev far; ip link set far up; exec "$@"',
        "pings",
    )
    assert pings.stdout
    assert pings.stdin
    bridged.run("ip", "link", "set", "far", "netns", pings.stdout.readline().strip()).ok()
    pings.stdin.write("ready\n")
    pings.stdin.flush()
    assert pings.stdout.readline() == "up\n"
    moved = json.loads(uuidfs(bridged, "local-migrate", "a", "--json").ok().out)["domains"][0]
    sent, lost, longest, cards = json.loads(pings.communicate(timeout=60)[0])
    server.communicate()
    print(
        f"pings: {sent} sent, {len(lost)} lost, longest silence {longest * 1000:.0f} ms; "
        f"trip {moved['seconds']:.1f} s, downtimes {moved['downtimes']} ms"
    )
    assert cards == [MAC]
    assert longest < LONGEST
    assert lost == [] or max(lost) < sent - 10, "it does not answer any more"
