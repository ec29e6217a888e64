"""Finds and opens the files of one domain's log: at its name, in the store and in the trash."""

import os
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from uuidfs.errors import SystemCallFailed, UuidfsError, show
from uuidfs.files.directory import Directory
from uuidfs.files.trusted import TrustedDirs
from uuidfs.history.rotations import (
    HEAD,
    LogFile,
    Source,
    alike,
    by_time,
    in_order,
    suffix_of,
)
from uuidfs.history.streams import Damaged, stream
from uuidfs.layout.names import log_target, split_log
from uuidfs.layout.places import Kind, Layout, Side
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.stamp import shows_later
from uuidfs.trash.entries import labels, opened_label

_TRIES = 16  # looks at directories in which something is rotated meanwhile

_TICK = 10_000_000  # nanoseconds; the coarsest clock of file systems is that of CONFIG_HZ=100

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class Subject(NamedTuple):
    """Whose log or history: ``uuid`` is None for a log that belongs to no domain any more and was
    never converted; ``name`` is None for a domain that is gone."""

    uuid: str | None
    name: str | None


class Chain:
    """The files of a log, oldest first, all held open; a context manager.

    Open files stay what they are, whatever is rotated meanwhile, and no new file gets the inode
    of one of them.
    """

    def __init__(self, files: list[LogFile], problems: list[Problem]) -> None:
        self.files = files
        self.problems = problems
        self._held = list(files)

    @property
    def keys(self) -> set[tuple[int, int]]:
        """The identities of all files, those that are left out as well."""
        return {file.key for file in self._held}

    def __enter__(self) -> "Chain":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        for file in self._held:
            os.close(file.fd)
        self._held = []

    def arrange(self) -> None:
        """Put every file where its time stamps say, and leave copies out."""
        heads = {file.key: _head(file) for file in self.files}
        left_out = set()
        for copy, other in alike(self.files, heads):
            if begins_as(other, copy):
                left_out.add(copy.key)
                why = f"it is an unfinished copy of {show(other.path)}, and is left out"
                self.problems.append(Problem(copy.path, why))
        self.files = [f for f in by_time(self.files, heads) if f.key not in left_out]


def begins_as(file: LogFile, copy: LogFile) -> bool:
    """Whether all that can be read of ``copy`` is the beginning of ``file``."""
    pieces = stream(file.fd, file.suffix, file.path)
    have = b""
    try:
        for piece in stream(copy.fd, copy.suffix, copy.path):
            while len(have) < len(piece):
                more = next(pieces, b"")
                if not more:
                    return False
                have += more
            if not have.startswith(piece):
                return False
            have = have[len(piece) :]
    except Damaged as error:
        return error.path == copy.path  # cut off: who compressed it was killed
    return True


def _head(file: LogFile) -> bytes:
    head = b""
    try:
        for piece in stream(file.fd, file.suffix, file.path):
            head += piece
            if len(head) >= HEAD:
                break
    except Damaged:
        pass  # told when the file is read
    return head[:HEAD]


class Logs:
    """Looks for the logs of a layout's domains; a context manager."""

    def __init__(self, layout: Layout, reader: Reader = read_lxml) -> None:
        self.layout = layout
        self.dirs = TrustedDirs(layout)
        self.documents = Documents(self.dirs, reader)
        self.reader = reader
        self._lists: dict[tuple[int, int], tuple[int, list[str]]] = {}

    def __enter__(self) -> "Logs":
        return self

    def __exit__(self, *_: object) -> None:
        self.dirs.forget()

    def scan(self) -> Scan:
        """Who is who now. Raises SystemCallFailed when not even the configs can be listed."""
        return scan_all(self.documents)

    def chain(self, subject: Subject, names: tuple[str, ...]) -> Chain:
        """Open all files of a domain's log, in the order of their names.

        ``names`` are those that the domain has now. Looks again where something was renamed
        between listing and opening. Raises SystemCallFailed where this user may not read, and
        Refused where the directory of logs, or the store, cannot be trusted.
        """
        for tries in range(_TRIES, -1, -1):
            now = time.time_ns()
            before = self.signature()
            chain = self._chain(subject, names)
            # A change within the tick of the kernel's clock that the first look fell into shows
            # in no time stamp.
            settled = now - max(before) > _TICK
            if not tries or (settled and self.signature() == before):
                break
            chain.close()
            time.sleep(_TICK / 1e9)
        return chain

    def signature(self) -> tuple[int, ...]:
        """What is another one after a file was made, renamed or removed where logs are."""
        self.dirs.look_again()
        places = [self.dirs.get(Kind.LOG, side) for side in Side]
        places.append(self.dirs.names(Kind.CONFIG))
        return tuple(place.status().st_mtime_ns if place is not None else 0 for place in places)

    def _chain(self, subject: Subject, names: tuple[str, ...]) -> Chain:
        found: dict[tuple[int, int], LogFile] = {}
        problems: list[Problem] = []
        try:
            for file in self._files(subject, names, problems):
                if file.key in found:
                    os.close(file.fd)
                else:
                    found[file.key] = file
        except BaseException:
            Chain(list(found.values()), []).close()
            raise
        return Chain(in_order(found.values()), problems)

    def _files(
        self, subject: Subject, names: tuple[str, ...], problems: list[Problem]
    ) -> Iterator[LogFile]:
        """Names come first: what one leads to has the name's number, whatever the store's is."""
        at_names, store = self.dirs.names(Kind.LOG), self.dirs.store(Kind.LOG)
        for entry in self._list(at_names) if at_names is not None and names else ():
            if not entry.startswith(names):
                continue  # much faster than taking all apart
            parts = split_log(entry)
            if parts is None or parts[0] not in names or at_names is None:
                continue
            text = at_names.link_text(entry)
            target = log_target(text) if text is not None else None
            if text is None:
                yield from _opened(at_names, entry, parts[1], Source.NAME, problems)
            elif target is None:
                why = "it is a symlink that uuidfs did not make, and is left out"
                problems.append(Problem(at_names.at(entry), why))
            elif target[0] == subject.uuid and store is not None:
                stored = f"{target[0]}.log{target[1]}"
                yield from _opened(store, stored, parts[1], Source.NAME, problems)
        if subject.uuid is None or store is None:
            return
        for entry in self._list(store):
            if not entry.startswith(subject.uuid):
                continue
            parts = split_log(entry)
            if parts is not None and parts[0] == subject.uuid:
                yield from _opened(store, entry, parts[1], Source.STORE, problems)
        yield from self._trashed(subject.uuid, problems)

    def _list(self, directory: Directory) -> list[str]:
        """What is in a directory; of many domains it is listed once, until something changes there.

        A change within the tick in which the list was made might show in no time stamp: such a
        list is not kept.
        """
        now, status = time.time_ns(), directory.status()
        key, changed = (status.st_dev, status.st_ino), status.st_mtime_ns
        kept = self._lists.get(key)
        if kept is not None and kept[0] == changed:
            return kept[1]
        entries = directory.list()
        if shows_later(changed, now):
            self._lists[key] = (changed, entries)
        return entries

    def _trashed(self, uuid: str, problems: list[Problem]) -> Iterator[LogFile]:
        for kind, name, label, _ in labels(self.dirs, [], [Kind.LOG]):
            if label.uuid != uuid:
                continue
            try:
                with opened_label(self.dirs, kind, name) as directory:
                    for file in directory.list() if directory is not None else ():
                        if directory is not None:
                            yield from _opened(
                                directory,
                                file,
                                suffix_of(file),
                                Source.TRASH,
                                problems,
                                label.time,
                            )
            except UuidfsError as error:
                problems.append(Problem(error.path, error.reason))


def _opened(
    directory: Directory,
    entry: str,
    suffix: str,
    source: Source,
    problems: list[Problem],
    label: str = "",
) -> Iterator[LogFile]:
    """Open one file, without following a link and without waiting at a fifo; nothing where it is
    gone. Raises SystemCallFailed."""
    path = directory.at(entry)
    try:
        fd = os.open(entry, _FLAGS, dir_fd=directory.fd)
    except FileNotFoundError:
        return
    except OSError as error:
        found = directory.look(entry)
        if found is not None and not found.is_file:
            problems.append(Problem(path, f"{found.noun} is in the place of a log; it is left out"))
            return
        raise SystemCallFailed("read", path, error) from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        problems.append(Problem(path, "it is no regular file, and is left out"))
        return
    key = (status.st_dev, status.st_ino)
    yield LogFile(source, path, suffix, fd, key, status.st_mtime, label)
