"""Runs ``uuidfs local-migrate`` in a private host, and tells whether a guest went on."""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from itertools import pairwise

from tests.live import guest
from tests.live.private_host import ENVIRONMENT, PrivateHost
from tests.support.process import PATIENCE, REPOSITORY, Done, wait_for

SESSIONS = "/run/uuidfs/local-migration"
HOPS = "/run/libvirt/uuidfs"
UUID = guest.uuid(1)


def command() -> tuple[list[str], dict[str, str]]:
    """uuidfs with libvirt-python: as it is installed, or from here by Debian's interpreter."""
    installed = os.environ.get("UUIDFS_COMMAND")
    if installed:
        return shlex.split(installed), {}
    return ["/usr/bin/python3", "-m", "uuidfs"], {"PYTHONPATH": str(REPOSITORY)}


def uuidfs(host: PrivateHost, *words: str, timeout: float = 300) -> Done:
    """Run one uuidfs command."""
    program, env = command()
    return host.run(*program, *words, env=env, timeout=timeout)


def begin(host: PrivateHost, *words: str) -> "subprocess.Popen[str]":
    """Start one, and do not wait for it."""
    program, env = command()
    return subprocess.Popen(
        host.inside(*program, *words),
        env=ENVIRONMENT | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def prepare(host: PrivateHost, *, memory: int = 16, started: bool = True) -> None:
    """A host with the hook, and guest 1 running as ``a``."""
    host.install_hook()
    host.path("/run/a.xml").write_text(guest.domain("a", 1, memory=memory))
    host.virsh("define", "/run/a.xml").ok()
    uuidfs(host, "convert", "--all").ok()
    if started:
        host.virsh("start", "a").ok()
        wait_for(lambda: counts(host), "the guest counts")


def counts(host: PrivateHost, number: int = 1) -> list[int]:
    """What the guest printed: its counter, 18.2 times a second."""
    text = host.path(f"/var/lib/libvirt/images/{number}.console").read_text(errors="replace")
    lines = re.findall(r"(?<=\n)[a-p]{4}(?=\n)", text)
    return [sum((ord(c) - ord("a")) << (12 - 4 * i) for i, c in enumerate(line)) for line in lines]


def went_on(numbers: Sequence[int]) -> int:
    """Assert that a counter never went back and never stood; returns its largest gap."""
    steps = [after - before for before, after in pairwise(numbers)]
    assert all(step > 0 for step in steps), f"reset or repeated: {numbers}"
    return max(steps)


def counting(host: PrivateHost) -> None:
    """Assert that the guest runs now."""
    now = counts(host)[-1]
    wait_for(lambda: counts(host)[-1] > now, "the guest goes on")


def processes(host: PrivateHost, uuid: str = UUID) -> list[int]:
    """The QEMU processes of a guest, whichever daemon they belong to; pids inside."""
    found = []
    for line in host.run("ps", "-e", "-o", "pid=,args=").ok().out.splitlines():
        pid, _, words = line.strip().partition(" ")
        if "qemu-system" in words and f"-uuid {uuid}" in words:
            found.append(int(pid))
    return found


def leftovers(host: PrivateHost) -> list[str]:
    """Everything that a trip must not leave: files, daemons, mounts."""
    found = []
    for line in host.run(
        "find", SESSIONS, HOPS, "/var/lib/libvirt/by-uuid/aside", "-mindepth", "1"
    ).out.splitlines():
        found.append(line)
    if host.path(HOPS).exists():
        found.append(HOPS)
    found += [
        line
        for line in host.run("ps", "-e", "-o", "args=").out.splitlines()
        if "local-migration" in line and "find" not in line
    ]
    places = (line.split()[1] for line in host.run("cat", "/proc/self/mounts").out.splitlines())
    found += [place for place in places if "uuidfs" in place and "uuidfs-live" not in place]
    return found


def at_home(host: PrivateHost, name: str = "a") -> None:
    """Assert the end of a trip: one process, counting, known to libvirt, nothing left over."""
    assert host.virsh("domstate", name).ok().out.strip() == "running"
    assert processes(host) == [host.qemu_pid(name)]
    counting(host)
    assert leftovers(host) == [], leftovers(host)
    assert host.uuidfs("check").code == 0, host.uuidfs("check")


def phase(host: PrivateHost) -> str:
    """The phase of guest 1's session, empty without one."""
    try:
        text = host.path(f"{SESSIONS}/{UUID}.json").read_text()
    except FileNotFoundError:
        return ""
    found = re.search(r'"phase": "(\w+)"', text)
    return found[1] if found else ""


def wait_for_phase(host: PrivateHost, wanted: str, running: "subprocess.Popen[str]") -> None:
    """Wait until a trip has come so far."""
    end = time.monotonic() + PATIENCE
    while phase(host) != wanted:
        assert running.poll() is None, f"over before {wanted}: {running.communicate()}"
        assert time.monotonic() < end, f"never in {wanted}: {phase(host)}"
        time.sleep(0.001)
