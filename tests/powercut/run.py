"""Records a scenario on a logged disk, and checks what each cut of the power leaves."""

import hashlib
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tests.crash.harness import FULL
from tests.powercut.disk import FileSystem, attached, logged, mounted, new_image
from tests.powercut.replay import cuts, entries, entries_in, put
from tests.powercut.scenarios import Scenario, Truth, read_before
from tests.powercut.syncing import Syncer, everything, patched
from tests.support.trees import Host
from tests.support.truth import facts, fingerprint

_CHUNK = 1 << 16
STRIDE = 1 if FULL else 5
"""Of the states that are no prefix of the writes every STRIDE-th is tried."""


@dataclass
class Figures:
    """What was seen. ``trees``: different states that a mount showed, each recovered from."""

    entries: int = 0
    points: int = 0
    trees: int = 0
    early: int = 0  # trees in which a name does not open before the recovery
    last: bytes = b""
    failures: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.entries:6} log entries {self.points:6} cuts {self.trees:5} trees"
            f" {self.early:4} early {len(self.failures):4} failed"
        )


@dataclass(frozen=True)
class Recording:
    """The image as it was before, the log since, and the truth."""

    scenario: Scenario
    base: Path
    log: Path
    notes: Path
    start: int  # the first entry of the log after the mount
    truth: Truth
    end: bytes  # the tree after the run, which the last cut has to show

    def where(self, entry: int) -> str:
        """The last call that was committed when this entry of the log was written."""
        last = "the mount"
        if self.notes.exists():
            for line in self.notes.read_text().splitlines():
                number, what = line.split(" ", 1)
                if int(number) > entry:
                    return f"before the end of {what}"
                last = what
        return f"after {last}"


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory in memory, where there is one: images are copied for each point."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="uuidfs-power-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def explore(system: FileSystem, make: Callable[[Path], Scenario], mode: str) -> Figures:
    """Record one run, and try every cut of it."""
    with scratch() as directory:
        recording = record(system, make, mode, directory)
        return check(system, recording, directory)


# -- recording --------------------------------------------------------------------------------


def record(
    system: FileSystem, make: Callable[[Path], Scenario], mode: str, directory: Path
) -> Recording:
    """Build a scenario's tree on a disk, and run its actions when that is logged."""
    image, mount = new_image(system, directory / "image"), directory / "mount"
    with attached(image) as device, mounted(system, device, mount):
        scenario = make(mount)  # in place: uuidfs notes inodes
    base, notes = _sparse_copy(image, directory / "base"), directory / "notes"
    host = Host(scenario.root)
    with logged(image, directory) as disk:  # noqa: SIM117 - shorter lines
        with mounted(system, disk.device, mount):
            before, stored = read_before(host)
            everything(mount)
            start = entries_in(disk.log)

            def act() -> None:
                syncer = Syncer(mount, disk.log, notes)
                patched(syncer, exchange=scenario.exchange)
                for action in scenario.actions:
                    # What libvirt does is not judged: it is committed in its order.
                    syncer.mode = "all" if mode != "end" else "end"
                    words = action(host)
                    syncer.mode = mode
                    if words is not None:
                        code, said = forked(partial(_uuidfs, host, words))
                        assert code == 0, f"{words}: exit {code}, {said}"

            code, said = forked(act)
            assert code == 0, said
            truth = Truth(before, stored, facts(host))
            end = _tree(mount)
    image.unlink()
    return Recording(scenario, base, disk.log, notes, start, truth, end)


def _uuidfs(host: Host, words: Sequence[str]) -> None:
    from uuidfs.cli.start import main

    assert sys.getfilesystemencoding().lower() == "utf-8", "it would start again, unpatched"
    sys.argv = ["uuidfs", "--root", os.fspath(host.root), *words]
    main()


def forked(function: Callable[[], object]) -> tuple[int, str]:
    """Call it in a process of its own: its exit code, and what it said."""
    with tempfile.TemporaryFile() as output:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            sys.stdout, sys.stderr = (os.fdopen(fd, "w", closefd=False) for fd in (1, 2))
            os._exit(_code(function))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        output.seek(0)
        return code, output.read().decode(errors="replace")


def _code(function: Callable[[], object]) -> int:
    code = 0
    try:
        function()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _sparse_copy(source: Path, target: Path) -> Path:
    zeros = bytes(_CHUNK)
    with source.open("rb") as old, target.open("wb") as new:
        while chunk := old.read(_CHUNK):
            if chunk == zeros[: len(chunk)]:
                new.seek(len(chunk), os.SEEK_CUR)
            else:
                new.write(chunk)
        new.truncate(source.stat().st_size)
    return target


def _copy_over(source: BinaryIO, target: BinaryIO) -> None:
    """Make a file in use the same as a sparse one, by its pieces."""
    size = os.fstat(source.fileno()).st_size
    os.ftruncate(target.fileno(), 0)
    os.ftruncate(target.fileno(), size)
    start = end = 0
    while True:
        try:
            start = os.lseek(source.fileno(), end, os.SEEK_DATA)
        except OSError:
            return  # no more
        end = os.lseek(source.fileno(), start, os.SEEK_HOLE)
        for place in range(start, end, 16 * _CHUNK):
            piece = os.pread(source.fileno(), min(16 * _CHUNK, end - place), place)
            os.pwrite(target.fileno(), piece, place)


# -- checking ---------------------------------------------------------------------------------


def check(system: FileSystem, recording: Recording, directory: Path) -> Figures:
    """Mount what each cut leaves; recover from every tree that was not seen before."""
    figures, seen = Figures(), set[bytes]()
    log = list(entries(recording.log))
    figures.entries = len(log) - recording.start
    reordered, whole = 0, b""
    with recording.base.open("r+b") as base:
        for point in cuts(log, base):
            if point.entry < recording.start:
                continue
            if point.kind != "prefix":
                reordered += 1
                if reordered % STRIDE:
                    continue
            figures.points += 1
            # A new file and device each time: the kernel may keep pages of one that was used.
            path = directory / f"copy-{figures.points}"
            with path.open("w+b", buffering=0) as copy:
                _copy_over(base, copy)
                put(copy, point.writes)
            problems = _at(system, recording, path, directory / "mount", seen, figures)
            path.unlink()
            if problems:
                where = recording.where(point.entry)
                figures.failures[f"{point}, {where}"] = problems
            if point.kind == "prefix":
                whole = figures.last
    assert whole == recording.end, "the disk shows an older tree than the run has left"
    figures.trees = len(seen)
    return figures


def _at(
    system: FileSystem,
    recording: Recording,
    image: Path,
    where: Path,
    seen: set[bytes],
    figures: Figures,
) -> list[str]:
    scenario = recording.scenario
    try:
        with attached(image) as device, mounted(system, device, where) as mount:
            figures.last = tree = _tree(mount)
            if tree in seen:
                return []
            seen.add(tree)
            host = Host(scenario.root)
            early = scenario.early(host, recording.truth)
            figures.early += bool(early)
            problems = _recovered(scenario, host, recording.truth)
            return [*problems, *(f"early: {each}" for each in early)] if problems else []
    except OSError as error:
        return [f"the file system: {error}"]


def _tree(mount: Path) -> bytes:
    return hashlib.sha256(repr(fingerprint(mount)).encode()).digest()


def _recovered(scenario: Scenario, host: Host, truth: Truth) -> list[str]:
    shutil.rmtree(host.root / "run/uuidfs", ignore_errors=True)  # /run is empty after a cut
    code, said = forked(partial(_uuidfs, host, scenario.recovery))
    problems = scenario.judge(host, truth)
    if "Traceback" in said or (code != 0 and not scenario.may_fail):
        problems.append(f"the recovery: exit {code}, {said}")
    return problems
