"""Starts the processes that are measured, and says what they took."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
_IMPORT_UUIDFS = (
    f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from uuidfs.cli.start import main"
)


@dataclass(frozen=True)
class Took:
    """What one process took: seconds on the clock and on the CPUs, and its peak memory."""

    wall: float
    cpu: float
    peak: int  # bytes


def uuidfs_command(python: str, root: Path, *words: str) -> list[str]:
    """The command line of this repository's uuidfs."""
    return [python, "-I", "-c", f"{_IMPORT_UUIDFS}; main()", "--root", str(root), *words]


def import_command(python: str) -> list[str]:
    """A process that imports all that a run of the command line imports, and ends.

    That of ``convert --all``, which goes without typer.
    """
    late = "import uuidfs.convert.run, lxml.etree"
    return [python, "-I", "-c", f"{_IMPORT_UUIDFS}\n{late}"]


def bare_command(python: str, root: Path, table: Path) -> list[str]:
    """The bare loop, started the same way."""
    return [python, "-I", str(Path(__file__).with_name("bare.py")), str(root), str(table)]


def run(command: Sequence[str]) -> Took:
    """Run a process to its end with its output thrown away; raises when it fails."""
    began = time.perf_counter()
    child = subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        child.kill()  # a signal ends this run: nobody else may hold its tree
        child.wait()
        raise
    wall = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return Took(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def middle(took: Sequence[Took]) -> Took:
    """The median of each figure, and the greatest peak."""
    return Took(
        statistics.median(one.wall for one in took),
        statistics.median(one.cpu for one in took),
        max(one.peak for one in took),
    )


def times(took: Sequence[Took]) -> str:
    """The median, and the least and greatest for people who ask how noisy the machine was."""
    walls = [one.wall for one in took]
    return f"{statistics.median(walls):.3g} s ({min(walls):.3g} to {max(walls):.3g})"


def note(text: str) -> None:
    """Say on stderr what is being done; stdout has only results."""
    print(f"  {text}", file=sys.stderr, flush=True)
