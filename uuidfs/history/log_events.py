"""What a domain's log itself tells: starts with the name, ends, arrivals by migration.

libvirt (9.0 to 12.8) writes "starting up" with a time stamp, then QEMU's command line, quoted for a
shell and with a line for each option, and "shutting down, reason=WHY" at the end. QEMU can write
there as well, so these are the words of a program that a guest may have taken over.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from uuidfs.history.lines import blocks, stamp

_MARKS = re.compile(
    rb"^(?:.{10,40}: (?P<start>starting up)|.{10,40}: shutting down, reason=(?P<stop>[a-z-]+)"
    rb"|-name (?P<name>.+)|(?P<incoming>-incoming) )",
    re.MULTILINE,
)

_WORDS = (b"-name ", b"-incoming ", b"starting up", b"shutting down")


class Start(NamedTuple):
    """QEMU was started: when (None: that line is lost), under which name, and whether to receive a
    guest, by a migration or from a save."""

    when: float | None
    name: str
    incoming: bool


class Stop(NamedTuple):
    """QEMU ended, and why by libvirt's word: shutdown, destroyed, migrated, saved, crashed …"""

    when: float
    reason: str


def marks(chunks: Iterable[bytes]) -> Iterator[Start | Stop]:
    """Starts and stops in the order of the log. A start comes out with what follows it."""
    began: float | None = None
    name: str | None = None
    incoming = False
    for block in blocks(chunks):
        if not any(word in block for word in _WORDS):
            continue  # much faster than the expression
        for match in _MARKS.finditer(block):
            if match["name"] is not None:
                if name is not None:
                    yield Start(began, name, incoming)
                    began, incoming = None, False
                name = guest_name(match["name"])
            elif match["incoming"] is not None:
                incoming = name is not None
            elif (when := stamp(match[0])) is not None:
                if name is not None:
                    yield Start(began, name, incoming)
                began, name, incoming = None, None, False
                if match["start"] is not None:
                    began = when
                else:
                    yield Stop(when, match["stop"].decode())
    if name is not None:
        yield Start(began, name, incoming)


def starts(chunks: Iterable[bytes]) -> Iterator[Start]:
    """The starts alone."""
    return (mark for mark in marks(chunks) if isinstance(mark, Start))


def guest_name(words: bytes) -> str | None:
    """The name in ``guest=NAME,debug-threads=on \\``, as libvirt quotes it; commas are doubled.

    >>> guest_name(b"'guest=a,,b c,debug-threads=on' " + bytes([92]))
    'a,b c'
    """
    text = words.decode("utf-8", "surrogateescape").removesuffix("\\")
    try:
        value = next(iter(shlex.split(text)), "")
    except ValueError:
        return None
    match = re.match(r"guest=((?:[^,]|,,)*)", value, re.DOTALL)
    return match[1].replace(",,", ",") if match is not None else None
