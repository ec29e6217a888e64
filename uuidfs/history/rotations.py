"""Which files a domain's log consists of, and their order.

A rotation with a higher number is older (virtlogd's .0, logrotate's .1), one with a date is older
than those with numbers, and the log without a suffix is the newest. A file that lost its number in
a rename, or came back from the trash, is put where the time stamps in it say.
"""

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from uuidfs.history.lines import first_stamp
from uuidfs.history.streams import packing
from uuidfs.layout.names import split_log

HEAD = 1 << 14  # bytes of a file that are looked at to find its place


class Source(IntEnum):
    """Where a file of a log lies."""

    TRASH = 0
    STORE = 1
    NAME = 2


class LogFile(NamedTuple):
    """One file of a log, held open by ``fd``. ``suffix`` is that of the name which leads to it,
    ``label`` the time in the label of its trash, "" elsewhere; ``mtime`` in seconds."""

    source: Source
    path: str
    suffix: str
    fd: int
    key: tuple[int, int]
    mtime: float
    label: str = ""

    @property
    def packed(self) -> bool:
        """Whether it is compressed."""
        return bool(packing(self.suffix))


def in_order(files: Iterable[LogFile]) -> list[LogFile]:
    """Oldest first, by what the files are called."""
    found = list(files)
    # What the domain's name does not lead to is older than all that the name has got, where both
    # have a file of one number: the domain was started under a new name, without the hook.
    named = {file.suffix for file in found if file.source is Source.NAME}
    apart = any(file.source is Source.STORE and file.suffix in named for file in found)

    def place(file: LogFile) -> tuple[object, ...]:
        rank = 0 if file.source is Source.TRASH else 2
        if apart and file.source is Source.STORE:
            rank = 1
        return rank, file.label, _age(file.suffix), not file.packed, file.source, file.suffix

    return sorted(found, key=place)


def by_time(files: Iterable[LogFile], heads: dict[tuple[int, int], bytes]) -> list[LogFile]:
    """Files that are in order by name, in the order of the first time stamps in them.

    One without a time stamp stays behind the one before it.
    """
    keyed: list[tuple[float, LogFile]] = []
    last = float("-inf")
    for file in files:
        when = first_stamp(heads[file.key])
        last = when if when is not None else last
        keyed.append((last, file))
    return [file for _, file in sorted(keyed, key=lambda pair: pair[0])]


def alike(
    files: Iterable[LogFile], heads: dict[tuple[int, int], bytes]
) -> list[tuple[LogFile, LogFile]]:
    """Pairs that begin alike: it may be that logrotate is copying or compressing one of them, or
    was killed in it. The first of a pair would be the copy: a packed one, or else the older one.

    Only a whole head with a time stamp in it counts: what has none may just repeat itself.
    """
    kept: dict[bytes, LogFile] = {}
    found = []
    for file in files:
        head = heads[file.key]
        if len(head) < HEAD or first_stamp(head) is None:
            continue
        other = kept.get(head)
        if other is None:
            kept[head] = file
        elif file.packed and not other.packed:
            found.append((file, other))
        else:
            found.append((other, file))
            kept[head] = file
    return found


def suffix_of(entry: str) -> str:
    """The suffix of a log's file name, "" where it is none."""
    parts = split_log(entry)
    return parts[1] if parts is not None else ""


def _age(suffix: str) -> tuple[object, ...]:
    """Sorts the oldest first."""
    bare = suffix.removesuffix(packing(suffix)) if suffix else ""
    if match := re.fullmatch(r"\.(\d+)", bare):
        return 1, -int(match[1]), ""
    if match := re.fullmatch(r"-(\d{8})(.*)", bare, re.DOTALL):
        return 0, 0, f"{match[1]}{match[2]}"
    return 2, 0, ""
