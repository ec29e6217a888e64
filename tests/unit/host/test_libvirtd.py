"""The daemon: whether it runs, and how it is told of the first hook; nobody connects to it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import uuidfs
from uuidfs.errors import SystemCallFailed, UsageError
from uuidfs.host.libvirtd import owe, refuse_elsewhere, runs, send_reload
from uuidfs.layout.connections import session, system
from uuidfs.layout.places import Layout

DAEMON = """
import fcntl, os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # a handler must not print
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
file.write(str(os.getpid()))
file.flush()
print("ready", flush=True)
while signal.sigtimedwait({signal.SIGHUP}, 600):  # no longer than that, if nobody kills it
    print("reloaded", flush=True)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A live layout whose /run is ours."""
    (tmp_path / "run").mkdir()
    return system(str(tmp_path))._replace(live=True)


@pytest.fixture
def daemon(tmp_path: Path, layout: Layout) -> Iterator[subprocess.Popen[str]]:
    """Locks /run/virtqemud.pid as libvirt's virPidFile does."""
    assert layout.live
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON, tmp_path / "run/virtqemud.pid"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_the_holder_of_the_pid_files_lock_is_told_once(
    layout: Layout, daemon: subprocess.Popen[str]
) -> None:
    owe(layout)
    assert send_reload(layout).daemons == (f"virtqemud (pid {daemon.pid})",)
    assert daemon.stdout is not None
    assert daemon.stdout.readline() == "reloaded\n"
    assert send_reload(layout).daemons == ()


def test_what_is_owed_survives_a_kill(layout: Layout, daemon: subprocess.Popen[str]) -> None:
    """Killed after owe(): the next run finds the hook installed, and tells the daemon."""
    owe(layout)
    owe(layout)
    assert len(send_reload(layout).daemons) == 1
    assert daemon.poll() is None


def test_nobody_is_told_when_nothing_is_owed(layout: Layout, daemon: subprocess.Popen[str]) -> None:
    assert send_reload(layout).daemons == ()
    assert daemon.poll() is None


def test_a_pid_file_that_nobody_locks_is_nobodys(layout: Layout, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as innocent:
        (tmp_path / "run/libvirtd.pid").write_text(f"{innocent.pid}\n")
        owe(layout)
        assert send_reload(layout).daemons == ()
        assert innocent.poll() is None, "SIGHUP would have ended it"
        innocent.kill()


def test_a_link_in_place_of_a_pid_file_is_refused(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "run/libvirtd.pid").symlink_to("/etc/passwd")
    owe(layout)
    with pytest.raises(SystemCallFailed):
        send_reload(layout)


def test_elsewhere_there_is_no_daemon_to_tell(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        refuse_elsewhere(system(str(tmp_path)))
    done = uuidfs(tmp_path, "hook", "install", "--reload")
    assert (done.code, list(tmp_path.iterdir())) == (2, [])


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
