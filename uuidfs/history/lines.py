"""Lines of a log: when they were written, and which of them somebody wants.

libvirt (9.0, virTimeStringNow) begins its lines with 2026-11-26 11:17:00.123+0000: and QEMU its own
with 2026-11-26T11:17:00.123456Z (-msg timestamp=on). All others belong to the line before.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

LIMIT = 1 << 20  # bytes; a longer line comes in pieces of about this length

_STAMP = re.compile(
    rb"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:?\d\d)(?!\d)"
)

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


class Line(NamedTuple):
    """One line with its end, or a piece of a very long one; ``when`` in seconds since the epoch,
    None where no line before had a time stamp either. ``begins``: it is no rest of a line."""

    when: float | None
    text: bytes
    begins: bool = True


class Wanted(NamedTuple):
    """Lines not older than ``since`` (seconds since the epoch) in which ``grep`` finds itself."""

    since: float | None = None
    grep: "re.Pattern[bytes] | None" = None

    @property
    def all(self) -> bool:
        """Whether no line is left out."""
        return self.since is None and self.grep is None


def stamp(line: bytes) -> float | None:
    """The time at the beginning of a line, in seconds since the epoch."""
    match = _STAMP.match(line)
    return _moment(match) if match is not None else None


def _moment(match: "re.Match[bytes]") -> float | None:
    whole = _second(match[1], match[2], match[4])
    return whole + float(b"0." + (match[3] or b"0")) if whole is not None else None


@lru_cache(maxsize=64)
def _second(day: bytes, time: bytes, zone: bytes) -> float | None:
    """Many lines are of one second, and a date costs more than all else of a line."""
    try:
        return datetime.fromisoformat((day + b"T" + time + zone).decode()).timestamp()
    except (ValueError, OverflowError):
        return None


def first_stamp(head: bytes) -> float | None:
    """The first time stamp at the beginning of a line of ``head``."""
    return next((when for line in _LINE.findall(head) if (when := stamp(line)) is not None), None)


def blocks(chunks: Iterable[bytes], *, flush: bool = False) -> Iterator[bytes]:
    """Whole lines, many at a time. An empty chunk (nothing new for now) comes out as one;
    with ``flush`` the beginning of a line before it, too."""
    rest = b""
    for chunk in chunks:
        if not chunk:
            if flush and rest:
                yield rest
                rest = b""
            yield b""
            continue
        end = chunk.rfind(b"\n") + 1
        if end:
            yield rest + chunk[:end]
            rest = chunk[end:]
        else:
            rest += chunk
        if len(rest) >= LIMIT:
            yield rest
            rest = b""
    if rest:
        yield rest


def select(chunks: Iterable[bytes], wanted: Wanted, *, flush: bool = False) -> Iterator[list[Line]]:
    """The lines that are wanted, some at a time; an empty list where nothing is new for now."""
    latest: re.Match[bytes] | None = None  # of the last line with a time stamp
    begins = True  # else what comes is the rest of a line
    for block in blocks(chunks, flush=flush):
        found = []
        for text in _LINE.findall(block):
            is_line, begins = begins, text.endswith(b"\n")
            if is_line and (match := _STAMP.match(text)) is not None:
                latest = match
            if wanted.grep is not None and not wanted.grep.search(text.removesuffix(b"\n")):
                continue
            when = _moment(latest) if latest is not None else None
            if wanted.since is None or (when is not None and when >= wanted.since):
                found.append(Line(when, text, is_line))
        if found or not block:
            yield found


def dropped(chunks: Iterable[bytes], lines: int) -> Iterator[bytes]:
    """All but the first so many lines."""
    for chunk in chunks:
        if lines:
            count = chunk.count(b"\n")
            if count < lines:
                lines -= count
                if not chunk:
                    yield chunk
                continue
            at = 0
            for _ in range(lines):
                at = chunk.index(b"\n", at) + 1
            lines = 0
            if at < len(chunk):
                yield chunk[at:]
        else:
            yield chunk
