"""Reads a domain's log: all files as one stream of bytes, in constant memory."""

from collections.abc import Callable, Iterable, Iterator

from uuidfs.history.lines import Line, Wanted, dropped, select
from uuidfs.history.logs import Chain
from uuidfs.history.rotations import LogFile
from uuidfs.history.streams import Damaged, stream
from uuidfs.survey.scan import Problem

Tell = Callable[[Problem], None]


def chunks(files: Iterable[LogFile], tell: Tell) -> Iterator[bytes]:
    """The bytes of all files, one after the other: a line may begin in one and end in the next.

    ``tell`` hears of what cannot be read; all others are read.
    """
    for file in files:
        try:
            yield from stream(file.fd, file.suffix, file.path)
        except Damaged as error:
            tell(Problem(error.path, error.reason))


def recent(chain: Chain, since: float | None) -> list[LogFile]:
    """The files that may have lines of that time or later: one is written last at its mtime.

    The file before them stays where one of them may begin with the rest of a younger line.
    """
    if since is None:
        return chain.files
    old = 0
    while old < len(chain.files) and chain.files[old].mtime < since - 1:
        old += 1  # compression may cut the time to whole seconds
    return chain.files[old:]


def last_lines(chain: Chain, wanted: Wanted, lines: int) -> tuple[list[LogFile], int]:
    """From which files on to read, and how many wanted lines of theirs to leave out, so that so
    many remain. Counts them, and keeps none."""
    if not wanted.all:
        files = recent(chain, wanted.since)
        total = sum(len(found) for found in select(chunks(files, _nobody), wanted))
        return files, max(total - lines, 0)
    count = 0
    at = len(chain.files)
    ended = False  # whether the last line has its end
    # One more than that: the first line of a file may be the end of one that an older file began.
    while at and count <= lines:
        at -= 1
        last = b""
        for piece in chunks(chain.files[at : at + 1], _nobody):
            count += piece.count(b"\n")
            last = piece[-1:]
        if last and not ended:
            count += last != b"\n"
            ended = True
    return chain.files[at:], max(count - lines, 0)


def without_first(found: Iterable[list[Line]], lines: int) -> Iterator[list[Line]]:
    """All wanted lines but the first so many."""
    for some in found:
        rest = some[lines:]
        lines = max(lines - len(some), 0)
        if rest or not some:
            yield rest


def raw(files: Iterable[LogFile], skipped: int, tell: Tell) -> Iterator[bytes]:
    """Everything, less so many lines at the beginning."""
    return dropped(chunks(files, tell), skipped)


def _nobody(_: Problem) -> None:
    """Hears nothing: what is damaged is told when it is shown."""
