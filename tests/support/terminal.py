"""Runs uuidfs on a terminal of 80 columns."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.support.process import PATIENCE, REPOSITORY, Done

COLUMNS = 80


def on_a_terminal(root: Path, *words: str, **env: str) -> Done:
    """What it prints there, and its exit code; what it complains of is dropped."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    command = [sys.executable, "-m", "uuidfs", "--root", os.fspath(root), *words]
    clean = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS"}}
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.DEVNULL, cwd=REPOSITORY, env=clean | env
    ) as process:
        os.close(theirs)
        data = b""
        while piece := _read(ours):
            data += piece
        code = process.wait(PATIENCE)
    os.close(ours)
    return Done(code, data.decode().replace("\r\n", "\n"), "", tuple(command))


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError:  # EIO: nobody has the other end any more
        return b""
