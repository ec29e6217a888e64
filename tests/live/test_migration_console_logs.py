"""Local migration of consoles with a log: virtlogd writes it at home, QEMU itself in the peer."""

import os
import subprocess

import pytest
from lxml import etree

from tests.live import moved
from tests.live.conftest import MakeHost
from tests.live.devices import differences, domain, numbers, shown
from tests.live.migration import leftovers, processes, uuidfs
from tests.live.moving import IMAGES, start
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for

LOG = f"{IMAGES}/console.log"

TRIPS = 2 if os.environ.get("UUIDFS_FULL_MATRIX") == "1" else 1

BACKENDS = {
    "pty": "<serial type='pty'>{log}</serial>",
    "unix": "<serial type='unix'><source mode='bind' path='/var/lib/libvirt/images/c.sock'/>{log}"
    "</serial>",
    "file": "<serial type='file'><source path='/var/lib/libvirt/images/f.out'/>{log}</serial>",
    "tcp, as Nova has it": "<serial type='tcp'><source mode='bind' host='127.0.0.1' "
    "service='10000'/><protocol type='raw'/>{log}</serial>",
    "udp": "<serial type='udp'><source mode='bind' host='127.0.0.1' service='5001'/>"
    "<source mode='connect' host='127.0.0.1' service='5000'/>{log}</serial>",
    "pipe": "<serial type='pipe'><source path='/var/lib/libvirt/images/fifo'/>{log}</serial>",
    "dev": "<serial type='dev'><source path='{pty}'/>{log}</serial>",
    "null": "<serial type='null'>{log}</serial>",
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.full) if kind in {"dev", "null", "unix"} else kind
        for kind in BACKENDS
    ],
)
def test_no_line_of_a_log_is_lost(ready: PrivateHost, kind: str) -> None:
    ready.run("ip", "link", "set", "lo", "up").ok()
    ready.run("sh", "-c", f"cd {IMAGES}; mkfifo -m 666 fifo.in fifo.out").ok()
    with _Pty(ready) as pty:
        log = f"<log file='{LOG}' append='on'/>"
        start(ready, domain("a", 1, BACKENDS[kind].format(log=log, pty=pty.path)))
        _grows(ready)
        owner = ready.path(LOG).stat()
        before = shown(ready, "a")
        for _ in range(TRIPS):
            pid = ready.qemu_pid("a")
            uuidfs(ready, "local-migrate", "a").ok()
            assert ready.qemu_pid("a") != pid
            assert len(processes(ready, "00000000-0000-4000-8000-000000000001")) == 1
            _grows(ready)
        changed = differences(before, shown(ready, "a"))
        appended = [line for line in changed if "append='on'" not in line and "f.out" not in line]
        assert appended == []
        assert leftovers(ready) == []
        moved.note(etree.fromstring(ready.virsh("dumpxml", "a").ok().out))
        found = numbers(ready.path(LOG).read_text())
        assert found == list(range(found[0], found[0] + len(found)))
        print(f"{kind}: {len(found)} lines, none lost")
        after = ready.path(LOG).stat()
        assert (after.st_uid, after.st_mode) == (owner.st_uid, owner.st_mode)


@pytest.mark.parametrize(
    "path",
    [
        "/var/log/libvirt/qemu/a-serial0.log",
        "/var/lib/libvirt/qemu/a.log",
        "/var/cache/libvirt/a.log",
        "/run/libvirt/a.log",
    ],
)
@pytest.mark.parametrize("kind", ["log", "file"])
def test_no_line_is_lost_where_the_peer_has_directories_of_its_own(
    ready: PrivateHost, kind: str, path: str
) -> None:
    console = {
        "log": f"<serial type='pty'><log file='{path}' append='on'/></serial>",
        "file": f"<serial type='file'><source path='{path}' append='on'/></serial>",
    }
    start(ready, domain("a", 1, console[kind]))
    _grows(ready, path)
    uuidfs(ready, "local-migrate", "a").ok()
    _grows(ready, path)
    found = numbers(ready.path(path).read_text())
    assert found == list(range(found[0], found[0] + len(found)))
    assert path in ready.virsh("dumpxml", "a").ok().out
    assert leftovers(ready) == []


def test_a_log_that_is_begun_anew_at_each_start_is_not_at_a_trip(ready: PrivateHost) -> None:
    """append='off' is what libvirt takes where nothing is said."""
    start(ready, domain("a", 1, f"<serial type='pty'><log file='{LOG}'/></serial>"))
    _grows(ready)
    uuidfs(ready, "local-migrate", "a").ok()
    _grows(ready)
    found = numbers(ready.path(LOG).read_text())
    assert found == list(range(found[0], found[0] + len(found)))
    assert f"<log file='{LOG}' append='on'/>" in shown(ready, "a")["live"]
    assert f"<log file='{LOG}'/>" in shown(ready, "a")["inactive"]


def test_a_log_that_virtlogd_rotates_all_the_time(make_host: MakeHost) -> None:
    """It has the file under its name closed, or renamed, when the peer opens it."""
    host = make_host(log_size=250, log_backups=32)
    host.install_hook()
    start(host, domain("a", 1, f"<serial type='pty'><log file='{LOG}' append='on'/></serial>"))

    def rotated() -> list[str]:
        return [f"{LOG}.{n}" for n in reversed(range(32)) if host.path(f"{LOG}.{n}").exists()]

    wait_for(rotated, "virtlogd rotates the log")
    for _ in range(TRIPS):
        uuidfs(host, "local-migrate", "a").ok()
        _grows(host)
    names = rotated()
    found = numbers("".join(host.path(name).read_text() for name in (*names, LOG)))
    assert found == list(range(found[0], found[0] + len(found)))
    assert leftovers(host) == []


def _grows(host: PrivateHost, log: str = LOG) -> None:
    def last() -> int:
        try:
            return max(numbers(host.path(log).read_text()), default=0)
        except FileNotFoundError:  # not begun, or just being rotated
            return 0

    old = last()
    wait_for(lambda: last() > old + 3, "the log grows")


class _Pty:
    """A terminal of the host's, that somebody else holds open; he also takes what comes by UDP.

    Without him some writes are refused, and QEMU logs what it could send.
    """

    def __init__(self, host: PrivateHost) -> None:
        self._process = subprocess.Popen(
            host.inside(
                "/usr/bin/python3",
                "-c",
                "import os, socket, tty\n"
                "udp = socket.socket(type=socket.SOCK_DGRAM)\n"
                "udp.bind(('127.0.0.1', 5000))\n"
                "a, b = os.openpty()\n"
                "tty.setraw(b)\n"
                "os.chmod(os.ttyname(b), 0o666)\n"
                "print(os.ttyname(b), os.getpid(), flush=True)\n"
                "while os.read(a, 4096): pass\n",
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.path, self._pid = self._process.stdout.readline().split()
        self._host = host

    def __enter__(self) -> "_Pty":
        return self

    def __exit__(self, *_: object) -> None:
        self._host.run("kill", self._pid).ok()
        self._process.communicate()
