"""Runs ``uuidfs reconcile`` on a tree, as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.process import REPOSITORY

# Seconds. What takes longer hangs, on a busy machine too; below a reconciler's resync of 600 s.
PATIENCE = 120.0


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Poll until ``condition`` is true; fail the test, naming ``what``, when it stays false."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"still not after {PATIENCE} s: {what}"
        time.sleep(0.005)


class Daemon:
    """A reconciler; a context manager. ``before`` are words to run it with (unshare, say)."""

    def __init__(self, root: Path, *before: str) -> None:
        self.root = root
        self._command = [
            *before,
            sys.executable,
            "-m",
            "uuidfs",
            "--root",
            os.fspath(root),
            "reconcile",
        ]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in __exit__
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Daemon":
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
        assert "Traceback" not in self.said(), self.said()
        self._log.close()

    def start(self) -> None:
        """Start it; returns after its first full pass."""
        before = self.standing().get("passed", 0.0)
        self.process = subprocess.Popen(
            self._command, cwd=REPOSITORY, text=True, stdin=subprocess.DEVNULL, stderr=self._log
        )
        wait_for(lambda: self.standing().get("passed", 0.0) > before, "the first full pass")

    def standing(self) -> dict[str, Any]:
        """What it last said of itself."""
        try:
            found: dict[str, Any] = json.loads(
                (self.root / "run/uuidfs/reconciler.json").read_text()
            )
        except FileNotFoundError:
            return {}
        return found

    def said(self) -> str:
        """Its log so far."""
        self._log.seek(0)
        return self._log.read()

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: int) -> int:
        """Send a signal that ends it, and return the exit code."""
        self.signal(number)
        assert self.process is not None
        code = self.process.wait(PATIENCE)
        self.process = None
        return code
