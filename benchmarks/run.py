"""``python -m benchmarks.run``: all ratios of the issue from one run; exit 1 when one is missed."""

import argparse
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from benchmarks import bulk, calls, disk, hooks, machine
from benchmarks.limits import Figure, table

DEBIAN_PYTHON = "/usr/bin/python3"
PARTS = ("calls", "bulk", "idle", "converting")


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    parser.add_argument("--sizes", default="100,1000,10000", help="domains, with commas")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    parser.add_argument("--rounds", type=int, default=5, help="of convert and the bare loop")
    parser.add_argument("--idle-rounds", type=int, default=5, help="of find, in each round")
    parser.add_argument("--hook-rounds", type=int, default=1000, help="of each idle operation")
    parser.add_argument("--hook-sizes", default="10,10000", help="trees for the idle hook")
    parser.add_argument("--converting-rounds", type=int, default=25)
    parser.add_argument("--converting-sizes", default="10,1000")
    parser.add_argument(
        "--shell-up-to",
        type=int,
        default=1000,
        help="the largest tree that the shell script converts (0.1 s a domain)",
    )
    parser.add_argument("--python", default=sys.executable, help="the interpreter for uuidfs")
    parser.add_argument("--base", type=Path, default=Path("/var/tmp"), help="where on the disk")
    parser.add_argument("--report-only", action="store_true", help="exit 0 in any case")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Measure, print, judge."""
    options = arguments(argv)
    disk.enter_namespace("benchmarks.run", argv)
    signal.signal(signal.SIGTERM, _end)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # a text stream
    base = Path(tempfile.mkdtemp(prefix="uuidfs-benchmarks-", dir=options.base))
    pythons = [options.python]
    if os.access(DEBIAN_PYTHON, os.X_OK) and options.python != DEBIAN_PYTHON:
        pythons.append(DEBIAN_PYTHON)
    missed = 0
    try:
        print("\n".join(f"- {line}" for line in machine.describe(pythons, base)), end="\n\n")
        for line in table(()):
            print(line)
        for figure in _measure(options, pythons, base):
            print(figure.line())
            missed += not figure.kept
    finally:
        disk.clean(base)
    print(f"\n{missed} limits missed" if missed else "\nall limits kept")
    return 1 if missed and not options.report_only else 0


def _end(number: int, _: object) -> NoReturn:
    """End by a signal in such a way that the trees are removed."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _measure(options: argparse.Namespace, pythons: list[str], base: Path) -> Iterator[Figure]:
    parts = options.only.split(",")
    if "calls" in parts:
        yield from _calls(options.python, base)
    if "bulk" in parts:
        plan = bulk.Plan(
            options.python, base, options.rounds, options.idle_rounds, options.shell_up_to
        )
        yield from bulk.figures([bulk.measure(plan, size) for size in _sizes(options.sizes)])
    if "idle" in parts:
        for size in _sizes(options.hook_sizes):
            yield from hooks.idle(options.python, base, size, options.hook_rounds)
    if "converting" in parts:
        for size in _sizes(options.converting_sizes):
            for python in pythons:
                yield from hooks.converting(python, base, size, options.converting_rounds)


def _calls(python: str, base: Path) -> Iterator[Figure]:
    compared = calls.compare(python, base)
    if compared is None:
        return
    ours, bare = compared
    yield Figure(
        "changing system calls that only uuidfs or only the bare loop makes",
        ((ours - bare) + (bare - ours)).total(),
        0.0,
        detail=f"uuidfs: {_listed(ours)}; bare loop: {_listed(bare)}",
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[call]} {call}" for call in sorted(counts))


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if size]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
