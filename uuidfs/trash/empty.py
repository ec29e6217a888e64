"""What goes after its time: entries of the trash, and the logs of domains that are gone."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from uuidfs.errors import EXIT_FAILED, EXIT_OK, Changed, SystemCallFailed, UuidfsError
from uuidfs.files import change
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Layout
from uuidfs.survey.scan import Problem
from uuidfs.trash.entries import (
    Bin,
    TrashEntry,
    drop_label,
    labels,
    opened_label,
    path_of,
    pick,
    place_of,
    survey,
)


class EmptyResult(NamedTuple):
    """What was removed, or would be in a dry run, and what is left alone and why."""

    removed: tuple[TrashEntry, ...]
    problems: tuple[Problem, ...] = ()
    dry_run: bool = False

    @property
    def exit_code(self) -> int:
        """1 when something was left alone, else 0."""
        return EXIT_FAILED if self.problems else EXIT_OK


def empty(
    layout: Layout,
    older_than: float | None,
    ids: Iterable[str] | None = None,
    *,
    dry_run: bool = False,
    now: float | None = None,
    due: Callable[[Bin, str], bool] | None = None,
) -> EmptyResult:
    """Remove entries that were trashed more than ``older_than`` seconds ago; None removes none.

    By the wall clock, as people count; with ``due`` it is that which tells for a kind's label.
    With ``ids`` exactly those go, whatever their age. Only regular files and symlinks go, from
    directories that nobody else can write to; the rest stays and is reported, and so is what
    cannot be removed, while the others go. ``now`` is in seconds since the epoch. It takes no
    lock: restore has linked a file elsewhere before its name here goes.

    Raises NoSuchEntry, Refused and SystemCallFailed before anything was removed.
    """
    now = time.time() if now is None else now
    with TrustedDirs(layout) as dirs:
        found, strangers = survey(dirs)
        if ids is not None:
            going = {entry.id: entry for entry in (pick(found, wanted) for wanted in ids)}
            return _empty(dirs, list(going.values()), (), dry_run=dry_run)
        if older_than is None:
            return EmptyResult((), strangers, dry_run)

        def is_old(kind: Bin, label: str, when: datetime) -> bool:
            if due is not None:
                return due(kind, label)
            return now - when.timestamp() > older_than

        old = [entry for entry in found if is_old(entry.kind, entry.label, entry.when)]
        result = _empty(dirs, old, strangers, dry_run=dry_run)
        if not dry_run:
            for kind, label, _, when in labels(dirs, []):
                if is_old(kind, label, when):
                    _drop(dirs, kind, label)  # a kill left it empty
        return result


def _empty(
    dirs: TrustedDirs, going: list[TrashEntry], strangers: tuple[Problem, ...], *, dry_run: bool
) -> EmptyResult:
    if dry_run:
        return EmptyResult(tuple(going), strangers, dry_run)
    done: list[TrashEntry] = []
    problems = list(strangers)
    for entry in going:
        path = path_of(dirs.layout, entry)
        try:
            with opened_label(dirs, entry.kind, entry.label) as directory:
                found = directory.look(entry.file) if directory is not None else None
                if directory is None or found is None:
                    continue  # somebody else emptied or restored it
                if not found.is_file and found.text is None:
                    raise Changed(path)
                change.unlink(directory, entry.file)
            done.append(entry)
            _drop(dirs, entry.kind, entry.label)
        except OSError as error:
            problems.append(Problem(path, SystemCallFailed("remove", path, error).reason))
        except UuidfsError as error:
            problems.append(Problem(path, error.reason))
    return EmptyResult(tuple(done), tuple(problems))


def _drop(dirs: TrustedDirs, kind: Bin, label: str) -> None:
    try:
        drop_label(dirs, kind, label)
    except OSError as error:
        raise SystemCallFailed("remove", place_of(dirs.layout, kind, label).path, error) from error
