"""What a domain's log gets, across rotations, renames and restarts.

The file that is read stays open until the directories say that there is a newer one and it is read
to its end: virtlogd (libvirt 9.0 to 12.8) renames a full file first, and then makes the new one.
"""

import itertools
import os
from collections.abc import Iterator
from typing import NamedTuple

from uuidfs.errors import UuidfsError
from uuidfs.history.logs import Chain, Logs, Subject, begins_as
from uuidfs.history.read_log import Tell
from uuidfs.history.rotations import LogFile, Source
from uuidfs.history.streams import Damaged, plain, stream
from uuidfs.history.subject import names_of
from uuidfs.survey.scan import Problem

PERIOD = 0.5  # seconds between two looks

_MARK = 256  # bytes before the place that is reached, to know the file again

# After a change, more looks: time stamps of directories are as coarse as a clock's tick, on ext3 as
# a second.
_LOOKS = 4


class _Place(NamedTuple):
    """How far a file is read, and its last bytes."""

    fd: int
    file: LogFile
    offset: int = 0
    mark: bytes = b""


class Follower:
    """Goes on where a chain ends. It takes the chain over; a context manager closes it.

    The file that is written now is the last one that is not packed; ``offset`` is how much of it
    the caller has got.
    """

    def __init__(self, logs: Logs, subject: Subject, chain: Chain, tell: Tell) -> None:
        self._logs = logs
        self._subject = subject
        self._chain = chain
        self._tell = tell
        self._signature: tuple[int, ...] = ()
        self._looks = _LOOKS
        self._told: set[Problem] = set(chain.problems)
        self._seen = chain.keys  # read, or not to be read; all of them are open
        # Files that came since the present one was begun, and stand before it: maybe its copies.
        self._copies: set[tuple[int, int]] = set()
        current = [file for file in chain.files if not file.packed and file.source != Source.TRASH]
        self._place = self._begin(current[-1]) if current else None

    def close(self) -> None:
        """Close all files."""
        self._chain.close()
        if self._place is not None:
            os.close(self._place.fd)

    def before(self) -> list[LogFile]:
        """The chain's files before the one that is written now: the caller reads these first."""
        key = self._place.file.key if self._place is not None else None
        return [file for file in self._chain.files if file.key != key]

    def chunks(self) -> Iterator[bytes]:
        """What is written, from the beginning of the present file; an empty piece where nothing is
        new: then the caller waits for :data:`PERIOD`. It never ends."""
        while True:
            yield from self._drain()
            newer = self._newer()
            if newer:
                yield from self._drain()  # what came before virtlogd had renamed it
                for file in newer:
                    self._go_on(file)
                    yield from self._drain()
            else:
                yield b""

    def _begin(self, file: LogFile) -> _Place:
        return _Place(os.dup(file.fd), file)

    def _go_on(self, file: LogFile) -> None:
        if self._place is not None:
            os.close(self._place.fd)
        self._place = self._begin(file)
        self._seen &= self._chain.keys  # a new file may have the former one's inode from now on

    def _drain(self) -> Iterator[bytes]:
        place = self._place
        if place is None:
            return
        # Whatever its time says: those of two writes can be the same.
        if os.fstat(place.fd).st_size < place.offset or not _is_there(place):
            yield from self._rest_in_copy(place)
            place = self._place = place._replace(offset=0, mark=b"")
        try:
            for piece in plain(place.fd, place.offset, place.file.path):
                place = place._replace(
                    offset=place.offset + len(piece), mark=(place.mark + piece)[-_MARK:]
                )
                self._place = place
                yield piece
        except Damaged as error:
            self._say(Problem(error.path, error.reason))

    def _rest_in_copy(self, place: _Place) -> Iterator[bytes]:
        """logrotate has copied the file and cut it (copytruncate): its end is in the copy, and what
        came between that cut and the next is in the copies after it."""
        self._look()
        files = list(itertools.takewhile(lambda f: f.key != place.file.key, self._chain.files))
        known = self._seen - self._copies
        files = [f for f in files if f.key not in known and f.source is not Source.TRASH]
        for index in reversed(range(len(files))):
            pieces = _rest(files[index], place.offset, place.mark)
            if next(pieces, None) is None:
                continue
            yield from filter(None, pieces)
            self._read(files[index])
            present = place.file._replace(fd=place.fd)
            for file in files[index + 1 :]:
                if not begins_as(present, file):  # else it is about to be cut
                    yield from self._whole(file)
                    self._read(file)
            return

    def _read(self, file: LogFile) -> None:
        self._seen.add(file.key)
        self._copies.discard(file.key)

    def _whole(self, file: LogFile) -> Iterator[bytes]:
        try:
            yield from stream(file.fd, file.suffix, file.path)
        except Damaged as error:
            self._say(Problem(error.path, error.reason))

    def _newer(self) -> list[LogFile]:
        """Files that came after the present one and are not read yet, oldest first."""
        signature = self._logs.signature()
        if signature != self._signature:
            self._signature = signature
            self._looks = _LOOKS
        if not self._looks:
            return []
        self._looks -= 1
        self._look()
        files = [f for f in self._chain.files if not f.packed and f.source is not Source.TRASH]
        if self._place is not None:
            keys = [file.key for file in files]
            if self._place.file.key in keys:
                files = files[keys.index(self._place.file.key) + 1 :]
        files = [file for file in files if file.key not in self._seen]
        # logrotate copies a file first and cuts it later: a copy seen in between is not read.
        self._copies |= self._chain.keys - self._seen - {file.key for file in files}
        self._copies &= self._chain.keys
        self._seen |= self._chain.keys
        return files

    def _look(self) -> None:
        """Open the chain anew. The old one is open until then, so no new file can have the inode
        of one that was seen."""
        try:
            chain = self._logs.chain(self._subject, names_of(self._logs.scan(), self._subject))
        except UuidfsError as error:
            self._say(Problem(error.path, error.reason))
            return
        self._chain.close()
        self._chain = chain
        self._seen &= chain.keys
        if self._place is not None:
            self._seen.add(self._place.file.key)
        for problem in chain.problems:
            self._say(problem)

    def _say(self, problem: Problem) -> None:
        if problem not in self._told:
            self._told.add(problem)
            self._tell(problem)


def _is_there(place: _Place) -> bool:
    """Whether the bytes before the place that was reached are still those that were read."""
    if not place.mark:
        return True
    try:
        found = os.pread(place.fd, len(place.mark), place.offset - len(place.mark))
    except OSError:
        return True
    return found == place.mark


def _rest(file: LogFile, offset: int, mark: bytes) -> Iterator[bytes]:
    """What a copy has behind an offset, with an empty piece first; nothing where it is no copy."""
    at = 0
    tail = b""
    begun = False
    try:
        for piece in stream(file.fd, file.suffix, file.path):
            if begun:
                yield piece
                continue
            if at + len(piece) < offset:
                tail = (tail + piece)[-len(mark) :]
                at += len(piece)
                continue
            split = offset - at
            if not (tail + piece[:split]).endswith(mark):
                return
            begun = True
            yield b""
            yield piece[split:]
    except Damaged:
        return
