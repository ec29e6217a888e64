"""``uuidfs log --follow`` as a process of its own."""

import os
import signal
import subprocess
from typing import Self

from tests.support.process import PATIENCE, REPOSITORY, uuidfs_words, wait_for
from tests.unit.history.host import LogHost


class Following:
    """A context manager; what is printed is read without waiting for it."""

    def __init__(self, host: LogHost, *words: str) -> None:
        self.out = b""
        self.process = subprocess.Popen(
            [*uuidfs_words(host.host.root), "log", "--follow", *words],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self._pipe = self.process.stdout
        os.set_blocking(self._pipe.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        with self.process:
            pass

    def has(self, expected: bytes) -> None:
        """Wait until exactly this was printed."""

        def printed() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            self.out += self._pipe.read() or b""
            assert expected.startswith(self.out), self.out
            return self.out == expected

        wait_for(printed, f"{expected[-200:]!r} was printed; {self.out[-200:]!r}")

    def ends(self, number: int) -> tuple[int, bytes]:
        """Send a signal; the exit code, and what was said on standard error."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, bytes]:
        """The exit code, and what was said on standard error, once it ends by itself."""
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        return self.process.wait(PATIENCE), said

    def closes(self) -> None:
        """Nobody reads any more."""
        self._pipe.close()

    def seconds(self) -> float:
        """How long it has used a CPU."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


INTERRUPT = signal.SIGINT
