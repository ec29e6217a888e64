"""Attacks on a guest that moves: starts without end, signals to everybody who takes part."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.live import guest
from tests.live.migration import SESSIONS, UUID, at_home, begin, counts, phase, uuidfs, went_on
from tests.live.private_host import DAEMON, ENVIRONMENT, SOCKET, PrivateHost
from tests.support.process import PATIENCE, Done, wait_for

ATTACKERS = Path(__file__).with_name("attackers.py")
PEER = f"{SESSIONS}/peer-{UUID}"
PEER_URI = f"qemu+unix:///system?socket={PEER}/run/{SOCKET}"
STOP = "/run/attack"

PHASES = ("begin", "out", "peer", "back", "home")

# Who takes part, by the file that has its process id.
VICTIMS = {
    "peer daemon": f"{PEER}/peer.pid",
    "host daemon": f"/run/{DAEMON}.pid",
    "QEMU in the peer": f"{PEER}/run/qemu/a-incoming.pid",
    "QEMU at home": "/run/libvirt/qemu/a.pid",
}


class Attack:
    """Starts the guest again and again, ``starters`` at a time, and looks whether it runs twice.

    A context manager; after the block ``heard`` counts what the starts were told.
    """

    def __init__(self, host: PrivateHost, starters: int = 1, *, may_start: bool = False) -> None:
        self.host = host
        self.heard: dict[str, int] = {}
        self.seen: dict[str, Any] = {}
        self._roles = ["look", *["start"] * starters]
        self._may_start = may_start
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Attack":
        self.host.path(STOP).touch()
        for role in self._roles:
            self._running.append(
                subprocess.Popen(
                    self.host.inside("/usr/bin/python3", str(ATTACKERS), role, STOP, UUID, SOCKET),
                    env=ENVIRONMENT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.host.path(STOP).unlink()
        said = [json.loads(one.communicate(timeout=PATIENCE)[0]) for one in self._running]
        self.seen = said[0]
        for heard in said[1:]:
            for what, number in heard.items():
                self.heard[what] = self.heard.get(what, 0) + number
        print(self.heard, self.seen)
        if error is None:
            assert self.seen["twice"] == [], "two processes ran, by libvirt's word"
            assert self._may_start or "started" not in self.heard, "a start went through"


def shareable(host: PrivateHost) -> None:
    """Guest 1 gets a raw disk that may be shared: QEMU's locks keep nobody from it."""
    host.path("/var/lib/libvirt/images/1.raw").write_bytes(guest.BOOT_SECTOR.ljust(1 << 20, b"\0"))
    xml = host.virsh("dumpxml", "a", "--inactive").ok().out
    xml = xml.replace("type='qcow2'/>", "type='raw'/>").replace("1.qcow2", "1.raw")
    xml = xml.replace("<target dev='vda'", "<shareable/><target dev='vda'")
    host.path("/run/raw.xml").write_text(xml)
    host.virsh("define", "/run/raw.xml").ok()


def slow_foreign_hook(host: PrivateHost, seconds: float = 0.3) -> None:
    """Somebody else's hook, which takes its time before every start."""
    path = host.path("/etc/libvirt/hooks/qemu.d")
    path.mkdir()
    (path / "slow").write_text(f'#!/bin/sh\n[ "$2" != prepare ] || sleep {seconds}\n')
    (path / "slow").chmod(0o755)


def start_counting(host: PrivateHost) -> None:
    """Start guest 1, and wait until it counts."""
    host.virsh("start", "a").ok()
    wait_for(lambda: len(counts(host)) > 1, "the guest counts")


def home(host: PrivateHost) -> int:
    """Assert the promise: one process, at home, that never stopped counting; its largest gap."""
    at_home(host)
    return went_on(counts(host))


def move(host: PrivateHost, *words: str) -> Done:
    """One trip."""
    return uuidfs(host, "local-migrate", "a", *words)


def helper_pid(host: PrivateHost) -> int:
    """The owner of the session, inside; 0 without one."""
    try:
        text = host.path(f"{SESSIONS}/{UUID}.json").read_text()
    except FileNotFoundError:
        return 0
    return int(re.findall(r'"pid": (\d+)', text)[0])


def pid_of(host: PrivateHost, victim: str) -> int:
    """A victim's process id inside, 0 while there is none."""
    if victim == "helper":
        return helper_pid(host)
    try:
        return int(host.path(VICTIMS[victim]).read_text() or "0")
    except (FileNotFoundError, ValueError):
        return 0


def begun(host: PrivateHost, wanted: str, *words: str) -> "subprocess.Popen[str]":
    """Begin a trip, and return when it is in a phase."""
    running = begin(host, "local-migrate", "a", *words)
    reached(host, wanted, running)
    return running


def reached(host: PrivateHost, wanted: str, running: "subprocess.Popen[str]") -> None:
    """Wait until a trip has come so far, or a bit further where the moment was too short."""
    end = time.monotonic() + PATIENCE
    later = PHASES[PHASES.index(wanted) :]
    while phase(host) not in later:
        assert running.poll() is None, f"over before {wanted}: {running.communicate()}"
        assert time.monotonic() < end, f"never in {wanted}: {phase(host)}"
        time.sleep(0.001)


def ended(running: "subprocess.Popen[str]", within: float = PATIENCE) -> tuple[int, str]:
    """Wait for the end of a trip; its exit code and what it said."""
    end = time.monotonic() + within
    while running.poll() is None:
        assert time.monotonic() < end, f"no end within {within} s"
        running.send_signal(signal.SIGCONT)  # nsenter stops itself when its child was stopped
        time.sleep(0.05)
    out, err = running.communicate()
    return running.returncode, out + err


def signal_to(host: PrivateHost, victim: str, name: str) -> int:
    """Send a signal to a victim that is there, or comes while the trip lasts; its pid, or 0."""
    while not (pid := pid_of(host, victim)) and phase(host):
        time.sleep(0.001)
    if pid:
        host.run("kill", "-s", name, str(pid))
    return pid


def outside(host: PrivateHost, inside: int) -> int:
    """The process id in the tests' own namespace: a signal from here takes no time."""
    namespace = os.readlink(f"/proc/{host.keeper_pid}/ns/pid")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found = re.search(r"NSpid:.*\s(\d+)\n", (process / "status").read_text())
            if found and int(found[1]) == inside and os.readlink(process / "ns/pid") == namespace:
                return int(process.name)
    raise AssertionError(f"no process {inside} in there")


def arrived(status: Path, running: "subprocess.Popen[str]") -> None:
    """Wait for the moment in which a hop's guest is all there, by its daemon's status file."""
    while True:
        with contextlib.suppress(FileNotFoundError), status.open("rb") as file:
            found = re.search(rb"<domstatus state='(\w+)' reason='([\w ]+)'", file.read(400))
            if found and (found[1] == b"running" or found[2] == b"user"):
                return
        assert running.poll() is None, running.communicate()
