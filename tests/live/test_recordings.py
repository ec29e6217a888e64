"""The calls of tests/support/libvirt.py are those of the real daemon: recorded, and compared.

UUIDFS_RECORD=1 writes the recordings anew into tests/data.
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live import guest
from tests.live.private_host import PrivateHost
from tests.live.trace import calls, traced

DATA = Path(__file__).parents[1] / "data"
PLACES = (
    ("/etc/libvirt/qemu/", "etc/libvirt/qemu/"),
    ("/var/lib/libvirt/qemu/", "var/lib/libvirt/qemu/"),
)

# What the daemon's start and its first autostart make: not the business of one domain.
DIRECTORIES = frozenset(
    {"autostart", "save", "snapshot", "checkpoint", "dump", "channel", "target", "nvram", "ram"}
)

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")


def recording(trace: str) -> str:
    """A line per call that changed a name of a config, snapshot or checkpoint."""
    lines = []
    for _, name, arguments in calls(trace):
        paths = re.findall(r'[<"](/[^">]*)[">]', arguments)
        path = paths[-1] if paths else ""
        for start, short in PLACES:
            if path.startswith(start) and Path(path).name not in DIRECTORIES:
                lines.append(f"{name} {short}{path[len(start) :]}")
    return "".join(f"{line}\n" for line in lines)


def actions(host: PrivateHost) -> dict[str, Callable[[], object]]:
    """What is recorded, in this order, on one host."""
    checkpoint = "virsh checkpoint-create a /run/c1.xml --redefine"
    return {
        "define": lambda: host.virsh("define", "/run/a.xml"),
        "autostart": lambda: host.virsh("autostart", "a"),
        "snapshot": lambda: host.virsh("snapshot-create-as", "a", "s1"),
        "checkpoint": lambda: host.run("sh", "-c", checkpoint),
        "save": lambda: host.virsh("setmem", "a", "12MiB", "--config"),
        "rename": lambda: host.virsh("domrename", "a", "c"),
        "snapshot-delete": lambda: host.virsh("snapshot-delete", "c", "s1"),
        "undefine": lambda: host.virsh("undefine", "c", "--checkpoints-metadata"),
    }


@pytest.mark.fact("The order of all these calls")
def test_the_recordings_are_what_the_daemon_does(host: PrivateHost) -> None:
    host.virsh("list").ok()  # its own start is over
    host.path("/run/a.xml").write_text(guest.domain("a", 1))
    host.path("/run/c1.xml").write_text(guest.checkpoint("c1"))
    for title, action in actions(host).items():
        got = recording(traced(host, action, killed=False))
        file = DATA / f"{title}.calls"
        if os.environ.get("UUIDFS_RECORD") == "1":
            file.write_text(got)
        assert got == file.read_text(), title
