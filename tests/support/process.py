"""Runs programs: one runner, one result, one wait_for, one reconciler."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[2]
# Seconds. What takes longer hangs, on a busy machine too; below a reconciler's resync of 600 s.
PATIENCE = 300.0


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str
    command: tuple[str, ...] = field(default=(), compare=False)

    @property
    def json(self) -> Any:  # whatever the command printed
        return json.loads(self.out)

    @property
    def traceback(self) -> bool:
        return "Traceback" in self.err or "Traceback" in self.out

    def ok(self) -> Self:
        """Return itself after a success, else fail the test with all that is known."""
        assert self.code == 0, f"{shlex.join(self.command)}\n{self}"
        return self


def run(
    *command: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    data: bytes = b"",
    cwd: str | os.PathLike[str] = "/",
    timeout: float = PATIENCE,
    new_session: bool = False,
) -> Done:
    """Run a command to its end, with ``data`` on its standard input; a hang fails the test."""
    done = subprocess.run(
        command,
        input=data,
        capture_output=True,
        check=False,
        env=env,
        cwd=cwd,
        timeout=timeout,
        start_new_session=new_session,
    )
    out, err = (each.decode(errors="surrogateescape") for each in (done.stdout, done.stderr))
    return Done(done.returncode, out, err, tuple(os.fspath(word) for word in command))


def uuidfs_words(root: Path | None, *arguments: str) -> list[str]:
    """The command line of this checkout: it has to be the working directory, or the path."""
    place = ["--root", os.fspath(root)] if root is not None else []
    return [sys.executable, "-m", "uuidfs", *place, *arguments]


def uuidfs(root: Path | None, *arguments: str, env: Mapping[str, str] | None = None) -> Done:
    """Call ``uuidfs --root ROOT ARGUMENTS``; asserts that it ends without a traceback."""
    done = run(*uuidfs_words(root, *arguments), cwd=REPOSITORY, env={**os.environ, **(env or {})})
    assert not done.traceback, done.err
    return done


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Poll until ``condition`` is true; fail the test, naming ``what``, when it stays false."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"still not after {PATIENCE} s: {what}"
        time.sleep(0.005)


class Daemon:
    """``uuidfs reconcile`` as a process of its own; a context manager that ends it by SIGTERM.

    ``command`` starts it, and ``state`` is where it writes what it says of itself.
    """

    def __init__(
        self, command: Sequence[str], state: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._command = command
        self._env = env
        self._state = state
        self._log = tempfile.TemporaryFile("a+", errors="replace")  # noqa: SIM115 - see __exit__
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None:
            self.end(signal.SIGTERM)
        said = self.said()
        self._log.close()
        if kind is not None:
            print(said)
        else:
            assert "Traceback" not in said, said

    def start(self) -> None:
        """Start it; returns after its first full pass."""
        before = self.passed()
        self.process = subprocess.Popen(
            self._command,
            cwd=REPOSITORY,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        wait_for(self._has_passed_since(before), "the reconciler's first full pass")

    def _has_passed_since(self, before: float) -> Callable[[], bool]:
        def passed() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"it ended by itself: {self.said()}"
            return self.passed() > before

        return passed

    def standing(self) -> dict[str, Any]:
        """What it last said of itself."""
        try:
            found: dict[str, Any] = json.loads(self._state.read_text())
        except FileNotFoundError:
            return {}
        return found

    def passed(self) -> float:
        """When its last full pass ended."""
        return float(self.standing().get("passed", 0.0))

    def said(self) -> str:
        """Its log so far, of all its lives."""
        self._log.seek(0)
        return self._log.read()

    def pid(self) -> int:
        """Its process id, in the tests' own namespace."""
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid(), number)

    def ended(self) -> int:
        """The exit code, when it ends by itself."""
        process = self.process
        assert process is not None
        wait_for(lambda: process.poll() is not None, "it ends by itself")
        self.process = None
        return process.returncode

    def end(self, number: int) -> int:
        """Send a signal that ends it, and return the exit code."""
        self.signal(number)
        assert self.process is not None
        code = self.process.wait(PATIENCE)
        self.process = None
        return code


def reconciler(root: Path, *before: str) -> Daemon:
    """The reconciler of a tree; ``before`` are words to run it with (unshare, say)."""
    command = [*before, *uuidfs_words(root, "reconcile")]
    return Daemon(command, root / "run/uuidfs/reconciler.json")
