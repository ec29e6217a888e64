"""Guests with devices, what virsh shows of them, and a client that loses its connection."""

import json
import re
import subprocess
from difflib import unified_diff
from xml.sax.saxutils import escape

import pytest

from tests.live import guest
from tests.live.migration import went_on
from tests.live.private_host import DAEMON, ENVIRONMENT, PrivateHost

GEHEIM = "Z2VoZWlt"  # by base64

asks_for_secrets = pytest.mark.skipif(
    DAEMON != "libvirtd", reason="a peer of virtqemud cannot ask for secrets"
)

QCOW2 = "<driver name='qemu' type='qcow2'/>"

# Connects to each address (a path, or HOST:PORT); says "up"; reads until the connection ends,
# and connects again. One JSON line an address: what was read before and after, and for how many
# milliseconds nobody answered. A refused or a short-lived connection is tried again.
CLIENT = r"""
import json, socket, sys, threading, time
def connect(address):
    if "/" in address:
        plug = socket.socket(socket.AF_UNIX)
    else:
        plug = socket.socket()
        host, port = address.split(":")
        address = host, int(port)
    plug.settimeout(30)
    plug.connect(address)
    return plug
def again(address):
    while True:
        try:
            plug = connect(address)
            since = time.monotonic()
            plug.settimeout(0.7)
            try:
                read = plug.recv(65536)
                if read:
                    return plug, read, since
            except TimeoutError:
                return plug, b"", since  # silent, and open
        except OSError:
            pass
        time.sleep(0.002)
def follow(address):
    plug, before, _ = first[address]
    plug.settimeout(60)
    try:
        while (read := plug.recv(65536)):
            before += read
    except OSError as error:
        how = type(error).__name__
    else:
        how = "EOF"
    ended = time.monotonic()
    plug, after, since = again(address)
    silent = (since - ended) * 1000
    # It may be QEMU that waits for the guest: the socket is there before the hop is over.
    end = time.monotonic() + 5
    plug.settimeout(5)
    try:
        while time.monotonic() < end and len(after) < 50 and (read := plug.recv(65536)):
            after += read
    except OSError:
        pass
    print(json.dumps([address, how, silent, before.decode("latin1"), after.decode("latin1")]),
          flush=True)
first = {address: again(address) for address in sys.argv[1:]}
print("up", flush=True)
threads = [threading.Thread(target=follow, args=[address]) for address in first]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def domain(
    name: str,
    number: int,
    devices: str = "",
    *,
    disks: str | None = None,
    top: str = "",
    os: str = "",
    memory: int = 16,
) -> str:
    """The XML of a guest with ``devices``; ``disks`` in place of its one disk, ``top`` below
    <domain>, ``os`` below <os>."""
    disks = disks if disks is not None else disk(number)
    return f"""\
<domain type='qemu'>
  <name>{escape(name)}</name>
  <uuid>{guest.uuid(number)}</uuid>
  <memory unit='MiB'>{memory}</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type>{os}</os>{top}
  <devices>
    {disks}
    {devices}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def disk(
    number: int,
    target: str = "vda",
    *,
    path: str | None = None,
    kind: str = "qcow2",
    cache: str | None = None,
) -> str:
    """A virtio disk."""
    how = f" cache='{cache}'" if cache else ""
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='{kind}'{how}/>"
        f"<source file='{path or guest.disk(number)}'/>"
        f"<target dev='{target}' bus='virtio'/></disk>"
    )


def luks(path: str, secret: str, target: str = "vdb") -> str:
    """A virtio disk that one of libvirt's secrets encrypts."""
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'>"
        f"<encryption format='luks'><secret type='passphrase' uuid='{secret}'/></encryption>"
        f"</source><target dev='{target}' bus='virtio'/></disk>"
    )


def console(number: int) -> str:
    """The console file that ``migration.counts`` reads."""
    return (
        f"<serial type='file'><source path='/var/lib/libvirt/images/{number}.console' "
        "append='on'/></serial>"
    )


def define_secret(host: PrivateHost, uuid: str, usage: str, *, ephemeral: str = "no") -> None:
    """Define a private secret, "geheim"; ``usage`` goes below <usage>, with its type."""
    define(host, secret(uuid, usage, ephemeral=ephemeral), "secret-define")
    host.virsh("secret-set-value", uuid, "--base64", GEHEIM).ok()


def secret(uuid: str, usage: str, *, ephemeral: str = "no") -> str:
    """The XML of a secret that libvirt gives to no client."""
    return f"<secret ephemeral='{ephemeral}' private='yes'><uuid>{uuid}</uuid>{usage}</secret>"


def define(host: PrivateHost, xml: str, verb: str = "define") -> None:
    """Define a domain, or ``create`` a transient one."""
    host.path("/run/input.xml").write_text(xml)
    host.virsh(verb, "/run/input.xml").ok()


# What differs in the live XML after every start: the id, also in paths; ptys; the numbers that
# libvirt gives the nodes of a disk's chain; taps without a name of their own; network ports.
_OF_A_PROCESS = (
    (re.compile(r"(?<=<domain type='qemu') id='\d+'"), ""),
    (re.compile(r"/domain-\d+-"), "/domain-N-"),
    (re.compile(r"/channel/\d+-"), "/channel/N-"),  # 11.3's
    (re.compile(r"/dev/pts/\d+"), "/dev/pts/N"),
    (re.compile(r"'(vnet|macvtap|tap)\d+'"), r"'\1N'"),
    (re.compile(r" portid='[^']*'"), ""),
    (re.compile(r"(<(?:source|backingStore) .*) index='\d+'"), r"\1"),
    # A log that is begun anew at each start is gone on with in a trip.
    (re.compile(r"(<log file='[^']*') append='off'/>"), r"\1 append='on'/>"),
    # What was asked of the firmware: 9.0 sends only the firmware that was chosen for it.
    (re.compile(r"    <firmware>\n(      <feature .*\n)*    </firmware>\n"), ""),
)


def shown(host: PrivateHost, name: str) -> dict[str, str]:
    """What virsh shows of a domain, but for what differs after every start."""
    found = {
        "live": host.virsh("dumpxml", name, "--security-info").ok().out,
        "info": re.sub(r"(Id|CPU time): .*", "", host.virsh("dominfo", name).ok().out),
    }
    if "Persistent:     yes" in found["info"]:
        found["inactive"] = host.virsh("dumpxml", name, "--inactive", "--security-info").ok().out
    for kind in ("snapshot", "checkpoint"):
        found[f"{kind}s"] = host.virsh(f"{kind}-list", name).ok().out
        for one in host.virsh(f"{kind}-list", name, "--name").ok().out.split():
            found[f"{kind} {one}"] = (
                host.virsh(f"{kind}-dumpxml", name, one, "--security-info").ok().out
            )
    found["current"] = host.virsh("snapshot-current", name, "--name").out
    for pattern, mark in _OF_A_PROCESS:
        found["live"] = pattern.sub(mark, found["live"])
    # libvirt leaves an empty element behind where the token of the way home was the only one.
    found["live"] = _with_controllers_sorted(found["live"]).replace("  <metadata/>\n", "")
    return found


def _with_controllers_sorted(xml: str) -> str:
    """libvirt puts those that it added itself where it likes."""
    pattern = re.compile(r"    <controller [^>]*?(?:/>|>.*?</controller>)\n", re.DOTALL)
    found = pattern.findall(xml)
    return pattern.sub("", xml).replace("  </devices>", "".join(sorted(found)) + "  </devices>")


class Client:
    """Clients of several addresses, from their first connection to their second."""

    def __init__(self, host: PrivateHost, *addresses: str) -> None:
        self._process = subprocess.Popen(
            [
                "nsenter",
                "-m",
                "-p",
                "-n",
                "-t",
                str(host.keeper_pid),
                "--",
                "/usr/bin/python3",
                "-c",
                CLIENT,
                *addresses,
            ],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "up\n"

    def over(self) -> dict[str, "Seen"]:
        """What each saw, by address; to be called after the trip."""
        out, _ = self._process.communicate(timeout=30)
        return {line[0]: Seen(*line[1:]) for line in map(json.loads, out.splitlines())}


class Seen:
    """How a connection ended, for how many ms nobody answered, and what was read."""

    def __init__(self, how: str, silent: float, before: str, after: str) -> None:
        self.how = how
        self.silent = round(silent)
        self.before = before
        self.after = after


def numbers(text: str) -> list[int]:
    """The counter in what a guest printed; broken lines at the ends are left out."""
    return [
        sum((ord(c) - ord("a")) << (12 - 4 * i) for i, c in enumerate(line))
        for line in re.findall(r"(?<=\n)[a-p]{4}(?=\n)", text)
    ]


def gap(before: str, after: str) -> int:
    """Assert that the counter went on; the ticks of 55 ms that nobody read at the change."""
    first, second = numbers(before), numbers(after)
    assert first, f"nothing before: {before!r}"
    assert second, f"nothing after: {after!r}"
    went_on([*first, *second])
    return second[0] - first[-1]


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The lines that differ, with the view they are in."""
    found = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, "").splitlines(), after.get(key, "").splitlines()
        found += [
            f"{key}: {line}"
            for line in unified_diff(old, new, n=0, lineterm="")
            if not line.startswith(("---", "+++", "@@"))
        ]
    return found
