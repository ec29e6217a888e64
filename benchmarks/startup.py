"""How long the commands take that people call all day: ``python -m benchmarks.startup [PAIRS]``.

Each is measured in turns with ``python3 -c 'import typer'``, by the Python that distributions'
packages use (or $PYTHON), on a converted tree of 100 domains. Both are whole processes; CPU time is
wait4(2)'s. Exits 1 where the median of the pairs' ratios of CPU time is above LIMIT.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.tree import build

PYTHON = os.environ.get("PYTHON", "/usr/bin/python3")
LIMIT = 2.5
DOMAINS = 100
MAIN = "from uuidfs.cli.start import main; main()"
WORDS = (["--help"], ["status"], ["path", "vm00001"], ["check"])


class Cost(NamedTuple):
    """Seconds of one process."""

    cpu: float
    wall: float


def cost(code: str, *words: str) -> Cost:
    """Run a piece of Python with nobody reading what it prints."""
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = time.perf_counter()
    pid = os.posix_spawn(PYTHON, [PYTHON, "-c", code, *words], os.environ, file_actions=nowhere)
    _, status, used = os.wait4(pid, 0)
    took = time.perf_counter() - began
    if status:
        raise SystemExit(f"{PYTHON} {' '.join(words)}: status {status}")
    return Cost(used.ru_utime + used.ru_stime, took)


def main(pairs: int) -> int:
    """Measure all of them, print a line each, and return the exit code."""
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="uuidfs-bench-") as root:
        build(Path(root), DOMAINS)
        cost(MAIN, "--root", root, "convert", "--all")
        for words in WORDS:
            command = (MAIN, "--root", root, *words)
            cost(*command)
            found = [_pair(command, number) for number in range(pairs)]
            ratios = [(ours.cpu / typer.cpu, ours.wall / typer.wall) for ours, typer in found]
            cpu, wall = (statistics.median(column) for column in zip(*ratios, strict=True))
            ours, typer = (
                statistics.median(each.cpu for each in side) for side in zip(*found, strict=True)
            )
            worst = max(worst, cpu)
            print(
                f"{words[0]:7} {ours * 1000:4.0f} ms of CPU, import typer {typer * 1000:3.0f}: "
                f"{cpu:.2f}-fold; on the clock {wall:.2f}-fold"
            )
    return int(worst > LIMIT)


def _pair(command: tuple[str, ...], number: int) -> tuple[Cost, Cost]:
    """Ours and typer's, in an order that changes."""
    if number % 2:
        return cost(*command), cost("import typer")
    typer = cost("import typer")
    return cost(*command), typer


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 25))
