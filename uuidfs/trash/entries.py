"""The trash: what is in it.

Each store has its own, on the file system of its files, as :mod:`uuidfs.apply` fills it, and so
have the keepsakes:

    STORE/trash/UUID~TIME~REASON~BY/FILE      TIME is when, in UTC; REASON why, BY who did it
    STORE/trash/UUID~TIME~REASON~BY~2/FILE    the third FILE of that second

Nothing here follows a link, and nothing is counted as trash that lies in a directory which
anybody but root (or the session's user) could have made: that is left alone and reported.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from uuidfs.errors import NoSuchEntry, UuidfsError
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import KEPT, TRASH, Keepsakes, Kind, Layout, Place
from uuidfs.layout.trash_label import TrashLabel, parse_label
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import MAX_BYTES, Identity, Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scan import Problem
from uuidfs.survey.scanner import scan_all

Bin = Kind | Keepsakes
"""Whose trash: a kind's, or that of the keepsakes."""

BINS: tuple[Bin, ...] = (*Kind, KEPT)

_ID_LENGTH = 12  # hexadecimal digits: 48 bits tell a million entries apart


class TrashEntry(NamedTuple):
    """One file in the trash. ``when`` is in UTC, ``size`` in bytes, ``label`` its directory.

    ``by`` is who put it there: convert, revert, check, hook, reconciler or local-migrate; ""
    where an old version did not tell.

    ``id`` is made of kind, label and file name: it stays as long as the entry does.
    """

    kind: Bin
    uuid: str
    when: datetime
    reason: str
    by: str
    file: str
    size: int
    label: str
    id: str


class Shown(NamedTuple):
    """One entry closely: ``name`` that its UUID is bound to, ``document`` the domain's name
    that a config says (None for other kinds, or when it cannot be read)."""

    entry: TrashEntry
    path: str
    name: str | None
    document: str | None
    modified: datetime
    owner: int
    group: int
    mode: int


def place_of(layout: Layout, kind: Bin, label: str = "") -> Place:
    """A kind's trash, or one directory in it."""
    place = (layout.stores[kind] if isinstance(kind, Kind) else layout.kept).child(TRASH)
    return place.child(label) if label else place


def path_of(layout: Layout, entry: TrashEntry) -> str:
    """Where an entry's file is."""
    return f"{place_of(layout, entry.kind, entry.label).path}/{entry.file}"


def entries(layout: Layout) -> tuple[TrashEntry, ...]:
    """All files in the trash, oldest first; who is called what is not looked at.

    Raises Refused when a store or its trash cannot be trusted, SystemCallFailed.
    """
    with TrustedDirs(layout) as dirs:
        return survey(dirs)[0]


def show(layout: Layout, wanted: str, reader: Reader = read_lxml) -> Shown:
    """Look closely at one entry; ``wanted`` as for :func:`pick`. Raises NoSuchEntry."""
    with TrustedDirs(layout) as dirs:
        entry = pick(survey(dirs)[0], wanted)
        names = scan_all(Documents(dirs, reader)).names_of.get(entry.uuid, [])
        with opened_label(dirs, entry.kind, entry.label) as directory:
            found = None if directory is None else directory.stat(entry.file)
            if directory is None or found is None:
                raise NoSuchEntry(wanted)
            identity = identify(directory, entry, reader)
        return Shown(
            entry,
            path_of(layout, entry),
            names[0] if len(names) == 1 else None,
            identity.name if isinstance(identity, Identity) and entry.kind is Kind.CONFIG else None,
            datetime.fromtimestamp(found.st_mtime, UTC),
            found.st_uid,
            found.st_gid,
            stat.S_IMODE(found.st_mode),
        )


def pick(found: Iterable[TrashEntry], wanted: str) -> TrashEntry:
    """The entry with this id, or whose id alone begins so, or KIND/LABEL/FILE.

    Raises NoSuchEntry when there is none, or more than one.
    """
    found = tuple(found)
    matches = [e for e in found if wanted == f"{e.kind.value}/{e.label}/{e.file}"]
    matches = matches or [e for e in found if wanted and e.id.startswith(wanted.lower())]
    if len(matches) != 1:
        raise NoSuchEntry(wanted, len(matches))
    return matches[0]


def identify(directory: Directory, entry: TrashEntry, reader: Reader) -> Identity | str:
    """Whom a document in the trash is about, or the reason why that cannot be told."""
    if entry.kind is Kind.LOG:
        return "it is a log"
    if entry.kind is KEPT:
        return "it is no document"
    try:
        data = directory.read(entry.file, MAX_BYTES)
    except UuidfsError as error:
        return str(error)
    return reader(data) if data is not None else "it is gone"


@contextmanager
def opened_label(dirs: TrustedDirs, kind: Bin, label: str) -> Iterator[Directory | None]:
    """Open one directory in a trash for a block; None when it is gone.

    Raises Refused when it, or the trash, is not a directory that only we can write to.
    """
    with _trash(dirs, kind) as trash, _opened(dirs, trash, label) as directory:
        yield directory


@contextmanager
def _trash(dirs: TrustedDirs, kind: Bin) -> Iterator[Directory | None]:
    if isinstance(kind, Kind):
        with _opened(dirs, dirs.store(kind), TRASH) as trash:
            yield trash
        return
    with dirs.kept() or nullcontext() as kept, _opened(dirs, kept, TRASH) as trash:
        yield trash


@contextmanager
def _opened(dirs: TrustedDirs, above: Directory | None, name: str) -> Iterator[Directory | None]:
    directory = above.child(name) if above is not None else None
    if directory is None:
        yield None
        return
    with directory:
        dirs.check_store(directory)
        yield directory


def drop_label(dirs: TrustedDirs, kind: Bin, label: str) -> None:
    """Remove one directory of a trash, when it is empty. Raises OSError and Refused."""
    with _trash(dirs, kind) as trash:
        if trash is not None:
            change.remove_directory(trash, label)


def survey(dirs: TrustedDirs) -> tuple[tuple[TrashEntry, ...], tuple[Problem, ...]]:
    """All entries, oldest first, and what is in a trash without being one, with the reason."""
    found: list[TrashEntry] = []
    strangers: list[Problem] = []
    for kind, name, label, when in labels(dirs, strangers):
        try:
            with opened_label(dirs, kind, name) as directory:
                for file in directory.list() if directory is not None else ():
                    found_at = directory.stat(file) if directory is not None else None
                    if directory is None or found_at is None:
                        continue
                    if not stat.S_ISREG(found_at.st_mode) and not stat.S_ISLNK(found_at.st_mode):
                        why = "it is no file, so uuidfs did not put it there"
                        strangers.append(Problem(directory.at(file), why))
                        continue
                    id_ = _id(kind, name, file)
                    found.append(
                        TrashEntry(
                            kind,
                            label.uuid,
                            when,
                            label.reason,
                            label.by,
                            file,
                            found_at.st_size,
                            name,
                            id_,
                        )
                    )
        except UuidfsError as error:
            strangers.append(Problem(place_of(dirs.layout, kind, name).path, error.reason))
    found.sort(key=lambda entry: (entry.when, entry.uuid, entry.kind.value, entry.file))
    return tuple(found), tuple(strangers)


def labels(
    dirs: TrustedDirs, strangers: list[Problem], kinds: Iterable[Bin] = BINS
) -> list[tuple[Bin, str, TrashLabel, datetime]]:
    """The directories of trashes whose name is ours: kind, name, what it says, and when.

    The others are put to ``strangers``.
    """
    found = []
    for kind in kinds:
        with _trash(dirs, kind) as trash:
            for name in sorted(trash.list()) if trash is not None else ():
                label = parse_label(name)
                when = _time(label.time) if label is not None else None
                if label is not None and when is not None:
                    found.append((kind, name, label, when))
                elif trash is not None:
                    strangers.append(Problem(trash.at(name), "uuidfs did not make it"))
    return found


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _id(kind: Bin, label: str, file: str) -> str:
    text = os.fsencode(f"{kind.value}/{label}/{file}")
    return sha256(text).hexdigest()[:_ID_LENGTH]


def named(dirs: TrustedDirs, entry: TrashEntry, reader: Reader) -> str | None:
    """The domain's name in a config in the trash, None when it cannot be read."""
    with opened_label(dirs, entry.kind, entry.label) as directory:
        identity = identify(directory, entry, reader) if directory is not None else None
    return identity.name if isinstance(identity, Identity) else None
