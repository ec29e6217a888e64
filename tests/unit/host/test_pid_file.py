"""Whether a daemon runs is told without connecting to it, and without taking its lock."""

import subprocess
import sys
from pathlib import Path

import pytest

from uuidfs.host.libvirtd import runs
from uuidfs.layout.connections import session

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["libvirtd.pid", "virtqemud.pid"])
def test_a_daemon_is_told_by_the_lock_on_its_pid_file(tmp_path: Path, name: str) -> None:
    layout = session({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)})
    pid_file = tmp_path / "libvirt" / name
    pid_file.parent.mkdir()
    assert not runs(layout)
    pid_file.write_text("1\n")  # stays after a crash: no lock, no daemon
    assert not runs(layout)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, pid_file],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert runs(layout)
        assert runs(layout), "the first question took nothing"
        holder.communicate("")
    assert not runs(layout)
