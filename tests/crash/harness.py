"""Runs uuidfs under strace, and kills it or fails one system call at every point.

A point is the n-th call of one system call in one process, as a first, undisturbed run under
strace shows them. strace acts at the call's entry: a killed run has done everything before
the point and nothing after it. Black box: only exit codes, stderr and the disk are looked at.
"""

import atexit
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support import process
from tests.support.process import REPOSITORY, Done

FULL = os.environ.get("UUIDFS_FULL_MATRIX") == "1"
WORKERS = 2

MUTATING = (
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "fsync",
    "fdatasync",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "fchownat",
    "lchown",
    "truncate",
    "ftruncate",
    "utimensat",
    "setxattr",
    "fsetxattr",
)
_CALL = re.compile(r"^\d+\s+(\w+)\((.*)$")


@dataclass(frozen=True, order=True)
class Point:
    """The ``nth`` call (from 1) of ``syscall`` in a process; ``what`` is how strace shows it."""

    syscall: str
    nth: int
    what: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.syscall} #{self.nth}: {self.what}"


@dataclass(frozen=True)
class Command:
    """A program to run, what it reads, and system calls that always fail on its machine."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    extra_env: tuple[tuple[str, str], ...] = ()
    always: tuple[str, ...] = ()  # strace injections that hold in every run

    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "PYTHONPATH": os.fspath(REPOSITORY),
            "PYTHONHASHSEED": "0",
            "PYTHONPYCACHEPREFIX": _byte_code(),
            **dict(self.extra_env),
        }


@dataclass(frozen=True)
class Outcome(Done):
    """``trace`` is strace's log, empty when it ran without."""

    trace: str = ""


@functools.cache
def _byte_code() -> str:
    """A place for byte code, warm after the first run: later ones are twice as fast, and
    make the same system calls each time."""
    directory = tempfile.mkdtemp(prefix="uuidfs-pycache-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def uuidfs(root: Path, *arguments: str) -> Command:
    """The command line tool on ``root``."""
    return Command(tuple(process.uuidfs_words(root, *arguments)))


def run(command: Command, injections: tuple[str, ...] = (), *, trace: bool = False) -> Outcome:
    """Run a command, under strace when asked to or when anything is to be injected."""
    injections = command.always + injections
    if not injections and not trace:
        return _finish(command, command.argv)
    with tempfile.TemporaryDirectory(prefix="uuidfs-strace-") as directory:
        log = Path(directory) / "log"
        argv = [
            "strace",
            "-f",
            "-y",
            "-q",
            "-s",
            "300",
            "-o",
            os.fspath(log),
            "-e",
            "signal=KILL",
            "-e",
            "trace=openat," + ",".join(MUTATING),
        ]
        if not any("signal=" in injection for injection in injections):
            argv.append("--seccomp-bpf")  # faster, but strace 6.1 then injects no signal
        for injection in injections:
            argv += ["-e", f"inject={injection}"]
        done = _finish(command, (*argv, *command.argv))
        return replace(done, trace=log.read_text(errors="replace"))


def _finish(command: Command, argv: tuple[str, ...]) -> Outcome:
    done = process.run(*argv, data=command.stdin, env=command.env())
    return Outcome(done.code, done.out, done.err, done.command)


def points(trace: str, root: Path) -> list[Point]:
    """All points below ``root`` in strace's log, in their order, each (syscall, nth) once.

    Calls elsewhere (byte code, the hook's other files) are counted but are no points; of
    openat only those are points that may create a file.
    """
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[Point, None] = {}
    for line in trace.splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        syscall, rest = match[1], match[2]
        key = (line.split(maxsplit=1)[0], syscall)
        counts[key] += 1
        if os.fspath(root) not in rest or (syscall == "openat" and "O_CREAT" not in rest):
            continue
        what = rest.replace(os.fspath(root), "ROOT")
        found.setdefault(Point(syscall, counts[key], what))
    return list(found)


def injected(trace: str, *, kill: bool) -> bool:
    """Tell whether the fault really happened: without this a test could test nothing."""
    return ("killed by SIGKILL" in trace) if kill else ("(INJECTED)" in trace)


@contextmanager
def copied(template: Path, parent: Path) -> Iterator[Path]:
    """A copy of a tree with owners, modes, times, xattrs and hard links; removed at the end."""
    target = Path(tempfile.mkdtemp(dir=parent)) / "root"
    subprocess.run(["cp", "-a", os.fspath(template), os.fspath(target)], check=True)
    try:
        yield target
    finally:
        shutil.rmtree(target.parent)


def report(failures: Mapping[str, list[str]]) -> str:
    """The message of a failed matrix: the first points, each with its first findings."""
    lines = [f"{len(failures)} points failed"]
    for point, problems in list(failures.items())[:8]:
        lines.append(f"- {point}")
        lines += [f"    {problem}"[:400] for problem in problems[:6]]
    return "\n".join(lines)
