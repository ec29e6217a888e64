"""What a test asks of a host: commands, as root. A machine or a container answers."""

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from tests.support.process import Done

PATIENCE = 900.0  # seconds for a boot, or a command, on a machine that has other work, too


class HostError(Exception):
    """The host, or a command in it, did not do what a test rests on."""


class Host(ABC):
    """Runs commands. ``emulated``: whether it has a kernel of its own, and AppArmor."""

    emulated: bool
    image: Path
    disk: Path

    @abstractmethod
    def run(self, command: str, *, data: bytes = b"", timeout: float = PATIENCE) -> Done:
        """Run a command in the host's shell, as root."""

    @abstractmethod
    def start(self, command: str, said: Path) -> "subprocess.Popen[bytes]":
        """Start a command and do not wait for it; what it prints goes to a file. A cut ends it."""

    @abstractmethod
    def copy_disk(self, to: Path) -> None:
        """Copy the disk as a cut at this moment would leave it; the host then goes on."""

    @abstractmethod
    def cut(self) -> None:
        """Cut the power: what the disk has not got by now is lost."""

    @abstractmethod
    def put(self, files: Sequence[Path], directory: str) -> None:
        """Copy files into a directory of the host, which is made."""

    @abstractmethod
    def reboot(self) -> float:
        """Reboot in good order and wait until all units have started; the seconds it took."""

    def do(self, command: str, *, data: bytes = b"", timeout: float = PATIENCE) -> str:
        """Run a command that must succeed; what it prints."""
        return self.run(command, data=data, timeout=timeout).ok().out

    def until(self, command: str, *, timeout: float = PATIENCE) -> str:
        """Run a command again and again until it succeeds; what it prints then."""
        end = time.monotonic() + timeout
        while (done := self.run(command)).code:
            assert time.monotonic() < end, f"{command}: never within {timeout} s: {done}"
            time.sleep(0.5)
        return done.out

    def settle(self) -> str:
        """Wait until systemd has nothing to start any more; what it says then."""
        return self.run("systemctl is-system-running --wait").out.strip()


def copy_while_stopped(pid: int, disk: Path, to: Path) -> None:
    """Copy a disk between two system calls of the process that writes it.

    SIGSTOP stops its threads there, as SIGKILL does."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while any(_state(task) != "T" for task in Path(f"/proc/{pid}/task").iterdir()):
            time.sleep(0.001)
        subprocess.run(["cp", "--sparse=always", disk, to], check=True)
    finally:
        os.kill(pid, signal.SIGCONT)


def _state(task: Path) -> str:
    """The state of a thread, a letter; T also for one that is gone (proc(5))."""
    with contextlib.suppress(OSError):
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    return "T"
