"""Removes what is past its retention, by two looks of the reconciler that are far apart.

What was seen when is kept in by-uuid/retention.json beside the metadata's stores: it has to
survive reboots. Without it everything counts as new.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from uuidfs.convert.results import Options, RunResult
from uuidfs.errors import SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import existing, opened
from uuidfs.files.small import write_whole
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import RETENTION_FILE, Layout
from uuidfs.runtime.records import parse_record, record_bytes
from uuidfs.trash.ages import Ages, Clock, is_past, is_seen_again, look, read_clock
from uuidfs.trash.empty import EmptyResult, empty
from uuidfs.trash.entries import Bin, labels
from uuidfs.trash.old_logs import old_logs, retire_logs

_LOG = "old-log/"  # no kind
_LIMIT = 1 << 26  # bytes: half a million entries


class Expired(NamedTuple):
    """What went: entries of the trash, and logs into the trash. ``told`` when a clock was set."""

    trash: EmptyResult
    logs: RunResult | None
    told: str | None


def expire(
    layout: Layout,
    trash: float | None,
    logs: float | None,
    options: Options,
    *,
    clock: Callable[[], Clock] = read_clock,
) -> Expired:
    """Look once; remove what has been seen for longer than these seconds (None: for ever).

    A log of a domain that is gone goes to the trash when it is old by its mtime at two looks, a
    day of running time apart. The first look at anything removes nothing. Raises UuidfsError.
    """
    with TrustedDirs(layout) as dirs:
        trashed = {_key(kind, label) for kind, label, _, _ in labels(dirs, [])}
        old = old_logs(dirs, logs, options)
    ages, told = look(_load(layout), clock(), trashed | {_LOG + uuid for uuid in old})
    # Saved first: what cannot be noted is not removed either.
    _save(layout, ages)
    removed = EmptyResult(())
    if trash is not None:
        removed = empty(layout, trash, due=partial(_is_due, ages, trash))
    retired = None
    if logs is not None:
        due = {uuid for uuid in old if is_seen_again(ages, _LOG + uuid, logs)}
        retired = retire_logs(layout, logs, options, only=due) if due else None
    return Expired(removed, retired, told)


def _is_due(ages: Ages, retention: float, kind: Bin, label: str) -> bool:
    return is_past(ages, _key(kind, label), retention)


def _key(kind: Bin, label: str) -> str:
    return f"{kind.value}/{label}"


def _load(layout: Layout) -> Ages:
    """What was noted; nothing where that is no record of ours."""
    directory = opened(layout.state)
    if directory is None:
        return Ages()
    with directory:
        data = directory.read(RETENTION_FILE, _LIMIT)
    try:
        return _typed(parse_record(data, Ages)) if data is not None else Ages()
    except (ValueError, TypeError, AttributeError):
        return Ages()


def _typed(read: Ages) -> Ages:
    """JSON knows no tuples, and the file may say anything."""
    wall, up, awake = read.last
    return Ages(
        Clock(float(wall), float(up), float(awake)),
        float(read.counted),
        float(read.running),
        float(read.gap),
        {key: (float(counted), float(ran)) for key, (counted, ran) in read.seen.items()},
    )


def _save(layout: Layout, ages: Ages) -> None:
    """Note it, durably; when nothing waits, nothing is left."""
    directory = opened(layout.state)
    try:
        if directory is None and ages.seen:
            with existing(layout.state.parent) as above:
                status = above.status()
                mode = status.st_mode & 0o7755
                name = layout.state.below[-1]
                directory = change.make_directory(above, name, mode, status.st_gid)
                directory = directory or above.child(name)
        if directory is None:
            return
        with directory:
            if ages.seen:
                data = record_bytes(ages._asdict())
                write_whole(directory, RETENTION_FILE, data, mode=0o600, durable=True)
            else:
                change.unlink(directory, RETENTION_FILE)
    except OSError as error:
        path = layout.state.child(RETENTION_FILE).path
        raise SystemCallFailed("write", path, error) from error
