"""Runs the real command line in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # whatever the command printed
        return json.loads(self.out)


def uuidfs(root: Path | None, *arguments: str, env: dict[str, str] | None = None) -> Done:
    """Call ``uuidfs --root ROOT ARGUMENTS``; asserts that it ends without a traceback."""
    place = ["--root", os.fspath(root)] if root is not None else []
    done = subprocess.run(
        [sys.executable, "-m", "uuidfs", *place, *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=300,
        cwd=REPOSITORY,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)
