"""Stand-ins for running guests: any program that holds a pid file, and a status XML beside it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.trees import uuid_for
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout

# As virExec does: the lock is taken before the program is executed, and stays with the process.
_START = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
os.set_inheritable(fd, True)
fcntl.lockf(fd, fcntl.LOCK_EX)
os.write(fd, b"%d\\n" % os.getpid())
os.execvp(sys.argv[2], sys.argv[2:])
"""


def live_layout(root: Path) -> Layout:
    """The system's layout below a directory, as if libvirt ran there."""
    layout = system(str(root))._replace(live=True)
    Path(layout.status.path).mkdir(parents=True)
    (root / "etc/libvirt/qemu").mkdir(parents=True)
    return layout


def write_status(layout: Layout, name: str, emulator: str) -> None:
    """The status XML of a running domain; replaced whole, as libvirt does."""
    domain = _domain(name, emulator)
    path = Path(f"{layout.status.path}/{name}.xml")
    new = path.with_suffix(".xml.new")
    new.write_text(f"<domstatus state='running' reason='booted' pid='1'>{domain}</domstatus>")
    new.rename(path)


def write_config(root: Path, name: str, emulator: str) -> None:
    """The config of a domain."""
    (root / f"etc/libvirt/qemu/{name}.xml").write_text(_domain(name, emulator))


def _domain(name: str, emulator: str) -> str:
    return (
        f"<domain type='kvm'><name>{name}</name><uuid>{uuid_for(name)}</uuid>"
        f"<devices><emulator>{emulator}</emulator></devices></domain>"
    )


@contextlib.contextmanager
def guest(
    layout: Layout, name: str, *command: str, emulator: str = "", hello: bytes = b""
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command as the process of a domain; its first line has ``hello`` in it.

    Without that it is one that copies its standard input to its standard output, such as cat.
    """
    write_status(layout, name, emulator or command[0])
    pid_file = f"{layout.status.path}/{name}.pid"
    with subprocess.Popen(
        [sys.executable, "-c", _START, pid_file, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        if not hello:
            process.stdin.write(b"ready\n")
            process.stdin.flush()
        assert (hello or b"ready") in process.stdout.readline()
        yield process
        process.kill()
