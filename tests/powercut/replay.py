"""What a disk can hold after a power cut, from the log of what it got.

After a flush everything before it is on the disk. Of the writes since then any may be there and
any may be missing. All prefixes are given, and the other sets that show most: each write alone,
and all but each one. A write is one block.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tests.powercut.disk import SECTOR

_FLUSH, _FUA, _DISCARD = 1, 2, 4
_MAGIC = 0x6A736677736872


@dataclass(frozen=True)
class Write:
    """Bytes at a place. A discard writes none: what is there afterwards is not defined."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class Entry:
    """One entry of the log: a write, a flush, or a write that is also a flush."""

    number: int
    flush: bool
    write: Write | None


@dataclass(frozen=True)
class Point:
    """One state: what is on the disk for sure is in the base, ``writes`` come on top."""

    entry: int
    kind: str  # prefix, alone, without
    writes: tuple[Write, ...] = field(repr=False)

    def __str__(self) -> str:
        return f"entry {self.entry} ({self.kind})"


def entries_in(log: Path) -> int:
    """How many entries the log's head tells; it is brought up to date at each flush."""
    with log.open("rb") as file:
        return _head(file)


def _head(file: BinaryIO) -> int:
    magic, version, count, sector = struct.unpack("<QQQI", file.read(28))
    if (magic, version, sector) != (_MAGIC, 1, SECTOR):
        raise ValueError(f"not a log of writes: {magic:x} {version} {sector}")
    return int(count)


def entries(log: Path) -> Iterator[Entry]:
    """Read the log."""
    with log.open("rb") as file:
        count = _head(file)
        file.seek(SECTOR)
        for number in range(count):
            sector, sectors, flags, _ = struct.unpack("<QQQQ", file.read(SECTOR)[:32])
            write = None
            if sectors and not flags & _DISCARD:
                write = Write(sector * SECTOR, file.read(sectors * SECTOR))
            yield Entry(number, bool(flags & (_FLUSH | _FUA)), write)


def cuts(log: list[Entry], base: BinaryIO) -> Iterator[Point]:
    """Every point of the log, in its order; ``base`` is brought to what is safe at each."""
    pending: list[Write] = []
    for entry in log:
        if entry.write is not None:
            pending.append(entry.write)
            yield Point(entry.number, "prefix", tuple(pending))
        if entry.flush:
            yield from _reordered(entry.number, pending)
            put(base, pending)
            pending = []
    yield from _reordered(len(log), pending)


def _reordered(number: int, pending: list[Write]) -> Iterator[Point]:
    last = len(pending) - 1
    for index in range(1, last + 1):  # the first alone is a prefix
        yield Point(number, "alone", (pending[index],))
    if last > 1:  # else that was it
        for index in range(last):  # all but the last is a prefix
            yield Point(number, "without", (*pending[:index], *pending[index + 1 :]))


def put(file: BinaryIO, writes: list[Write] | tuple[Write, ...]) -> None:
    """Bring writes into an image."""
    for write in writes:
        file.seek(write.offset)
        file.write(write.data)
    file.flush()
