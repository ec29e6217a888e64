"""Processes that write, read and convert one file at full speed, and what they report.

A version of the file is a valid document that carries its number and a checksum over all of
it, so that a reader can tell a torn, a stale and a good one apart.
"""

import multiprocessing
import os
import re
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from lxml import etree

from tests.support.libvirt import libvirt_save

_fork = multiprocessing.get_context("fork")
_STAMP = re.compile(rb"seq=(\d{12}) crc=([0-9a-f]{8})")
_BLANK = b"seq=%012d crc=00000000"
EXAMPLES = 5  # of each kind, for a message
PARSE_EVERY = 64  # readers check each version's checksum, and parse every so manieth


@dataclass
class Figures:
    """What one process saw or did; ``last`` is the number of the last version."""

    role: str
    counts: Counter[str] = field(default_factory=Counter)
    last: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, what: str, example: str = "") -> None:
        self.counts[what] += 1
        if example and self.counts[what] <= EXAMPLES:
            self.examples.append(f"{what}: {example}")


def version(template: bytes, number: int) -> bytes:
    """``template`` has to contain SEQ once."""
    data = template.replace(b"SEQ", _BLANK % number)
    return data.replace(b"crc=00000000", b"crc=%08x" % zlib.crc32(data))


def number_of(data: bytes) -> int | None:
    """The number of a whole version, None for anything else."""
    match = _STAMP.search(data)
    if match is None:
        return None
    number = int(match[1])
    blank = data[: match.start()] + _BLANK % number + data[match.end() :]
    return number if zlib.crc32(blank) == int(match[2], 16) else None


def write(path: Path, template: bytes, until: float, *, sync: bool) -> Figures:
    """Rewrite ``path`` as libvirt does, with rising numbers."""
    figures = Figures("writer")
    while time.monotonic() < until:
        figures.last += 1
        libvirt_save(path, version(template, figures.last), sync=sync)
        figures.note("writes")
    return figures


def _again(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return -1


def read(path: Path, until: float, *, reverted: bool = False) -> Figures:
    """Read ``path`` over and over.

    ``reverted``: somebody reverts meanwhile. Then a reader that the kernel has stopped between the
    link and the store's name may come back when that name is gone (docs/design.md, "Unfolding"):
    such a walk is counted, and has to succeed at once when it is made again.
    """
    figures = Figures("reader")
    while time.monotonic() < until:
        figures.note("reads")
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError as error:
            fd = _again(path) if reverted else -1
            if fd < 0:
                figures.note("missing", f"after version {figures.last}: {error}")
                continue
            figures.note("cut walks")
        try:
            data = b"".join(iter(lambda fd=fd: os.read(fd, 1 << 16), b""))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        finally:
            os.close(fd)
        number = number_of(data)
        if number is None:
            figures.note("torn", f"{data[:60]!r}, {len(data)} bytes")
            continue
        if figures.counts["reads"] % PARSE_EVERY == 0:
            etree.fromstring(data)
        if number < figures.last:
            figures.note("older", f"{number} after {figures.last}")
        figures.last = max(figures.last, number)
    return figures


def repeat(action: Callable[[], str | None], until: float) -> Figures:
    """Convert (or whatever ``action`` does) over and over; it returns what went wrong."""
    figures = Figures("uuidfs")
    while time.monotonic() < until:
        figures.note("runs")
        error = action()
        if error is not None:
            figures.note("told to run again" if "run again" in error else "failed", error)
    return figures


def race(seconds: float, *jobs: Callable[[float], Figures]) -> list[Figures]:
    """Run all jobs at once, each in a process of its own, and collect their figures."""
    until = time.monotonic() + seconds
    queue: SimpleQueue[tuple[int, Figures | str]] = _fork.SimpleQueue()

    def work(index: int, job: Callable[[float], Figures]) -> None:
        try:
            queue.put((index, job(until)))
        except BaseException:
            queue.put((index, traceback.format_exc()))

    processes = [_fork.Process(target=work, args=each) for each in enumerate(jobs)]
    for process in processes:
        process.start()
    results: dict[int, Figures] = {}
    errors: list[str] = []
    deadline = until + 120  # on a loaded machine
    while len(results) < len(jobs) and time.monotonic() < deadline:
        if not queue.empty():
            index, answer = queue.get()
            if isinstance(answer, str):
                errors.append(answer)
                break
            results[index] = answer
        time.sleep(0.01)
    for process in processes:
        process.join(0 if errors else 60)
        if process.is_alive():
            process.kill()
    if len(results) < len(jobs):
        raise AssertionError("a process died or hung: " + "\n".join(errors))
    return [results[index] for index in range(len(jobs))]


def total(figures: list[Figures], what: str) -> int:
    """The sum of one count over all processes."""
    return sum(each.counts[what] for each in figures)


def examples(figures: list[Figures], what: str) -> str:
    """The first of them, one a line."""
    return "\n".join(
        text for each in figures for text in each.examples if text.startswith(f"{what}: ")
    )


def line(title: str, figures: list[Figures]) -> str:
    """One line with all figures, for the test's output and the documentation."""
    counts: Counter[str] = Counter()
    for each in figures:
        counts.update(each.counts)
    return f"{title}: " + ", ".join(f"{key} {value:,}" for key, value in sorted(counts.items()))
