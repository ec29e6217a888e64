"""What a test asks of a host: commands, as root. A machine or a container answers."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from tests.support.process import Done

PATIENCE = 900.0  # seconds for a boot, or a command, on a machine that has other work, too


class HostError(Exception):
    """The host, or a command in it, did not do what a test rests on."""


class Host(ABC):
    """Runs commands. ``confined``: whether AppArmor is in force."""

    confined = True

    @abstractmethod
    def run(self, command: str, *, data: bytes = b"", timeout: float = PATIENCE) -> Done:
        """Run a command in the host's shell, as root."""

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
