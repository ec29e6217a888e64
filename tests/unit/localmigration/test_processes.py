"""Processes that are held by descriptors, and told by the lock on their pid file."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import wait_for
from uuidfs.localmigration.processes import Process, process_of

HOLDER = """
import fcntl, os, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
file.write(f"{os.getpid()}\\n")
file.flush()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    """Where the pid file is."""
    return tmp_path / "a.pid"


@pytest.fixture
def child(pid_file: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(pid_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_the_holder_of_a_pid_file(pid_file: Path, child: "subprocess.Popen[str]") -> None:
    found = process_of(str(pid_file))
    assert found is not None
    with found:
        assert found.pid == child.pid
        assert found.owner == (os.geteuid(), os.getegid())
        assert found.memory() > 1 << 20
        assert found.label == "" or "\0" not in found.label
        assert found.read("no/such/file") == ""
        there = found.namespace()
        assert os.fstat(there).st_ino == os.stat("/proc/self/ns/mnt").st_ino
        os.close(there)


def test_a_number_in_a_file_is_nobody(pid_file: Path) -> None:
    """Also where it is a process's: the lock tells, and never the number."""
    assert process_of(str(pid_file)) is None
    pid_file.write_text(f"{os.getpid()}\n")
    assert process_of(str(pid_file)) is None
    with pid_file.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # of another kind than libvirt's
        assert process_of(str(pid_file)) is None


def test_stopped_and_let_go_on(child: "subprocess.Popen[str]") -> None:
    with Process(child.pid) as process:
        assert not process.go_on()
        process.send(signal.SIGSTOP)
        wait_for(lambda: process.stopped, "it is stopped")
        assert process.go_on()
        wait_for(lambda: not process.stopped, "it goes on")


def test_the_oom_killers_order(child: "subprocess.Popen[str]") -> None:
    with Process(child.pid) as process:
        assert process.set_oom_score_adj(777)
        assert process.oom_score_adj == 777
        assert not process.set_oom_score_adj(1001), "the kernel has a limit"


def test_one_that_has_ended(pid_file: Path, child: "subprocess.Popen[str]") -> None:
    """Its number may be another process's by then; what was opened does nothing any more."""
    with Process(child.pid) as process:
        child.kill()
        child.wait()
        assert process.state == ""
        assert not process.stopped
        assert process.memory() == 0
        assert process.oom_score_adj is None
        assert not process.set_oom_score_adj(1)
        process.send(signal.SIGKILL)
        with pytest.raises(ProcessLookupError):
            _ = process.owner
    assert process_of(str(pid_file)) is None
    with pytest.raises(ProcessLookupError):
        Process(child.pid)
