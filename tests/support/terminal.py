"""Runs commands on a terminal."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.process import PATIENCE, REPOSITORY, Done

COLUMNS = 80


def run_on_a_terminal(
    command: Sequence[str], env: Mapping[str, str], *, errors: bool = True
) -> tuple[int, bytes]:
    """The exit code, and what it writes to a terminal of 80 columns, which is all that it has;
    without ``errors`` what it complains of is dropped. Skips the test where there is none."""
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal here: {error}")
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs if errors else subprocess.DEVNULL,
        cwd=REPOSITORY,
        env=env,
    ) as process:
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
            while piece := os.read(ours, 65536):
                said += piece
        code = process.wait(PATIENCE)
    os.close(ours)
    return code, said.replace(b"\r\n", b"\n")


def on_a_terminal(root: Path, *words: str, **env: str) -> Done:
    """What uuidfs prints there, and its exit code; what it complains of is dropped."""
    command = [sys.executable, "-m", "uuidfs", "--root", os.fspath(root), *words]
    clean = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS"}}
    code, said = run_on_a_terminal(command, clean | env, errors=False)
    return Done(code, said.decode(), "", tuple(command))
