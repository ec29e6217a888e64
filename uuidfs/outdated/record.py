"""What the last look at all guests found: /run/uuidfs/outdated.json, for the metrics.

The reconciler writes metrics and has no right to look into QEMU's processes (uuidfs.service), nor
the time. So it has a process of its own look now and then, and counts what is left of that.
"""

import time
from typing import NamedTuple

from uuidfs.errors import Refused
from uuidfs.files.directory import opened
from uuidfs.files.small import replace_file
from uuidfs.host.pid_files import holder_of
from uuidfs.layout.places import Layout
from uuidfs.outdated.results import Looked
from uuidfs.runtime.flock import make_lock_directory
from uuidfs.runtime.records import parse_record, record_bytes

FILE = "outdated.json"

_LIMIT = 1 << 24  # bytes; a guest takes 60 and its name


class OutdatedRecord(NamedTuple):
    """``looked`` is when, in seconds since the epoch; ``guests`` are names and process ids of the
    outdated ones, ``unknown`` how many guests could not be looked at."""

    looked: float
    guests: tuple[tuple[str, int], ...]
    unknown: int


def write(layout: Layout, found: Looked) -> None:
    """Replace the file by what a look at all guests found. Raises Refused or SystemCallFailed."""
    make_lock_directory(layout.locks)
    guests = [(one.name, one.pid) for one in found.domains]
    record = OutdatedRecord(time.time(), tuple(guests), len(found.problems))
    replace_file(layout.locks.parent, FILE, record_bytes(record._asdict()))


def read(layout: Layout) -> OutdatedRecord | None:
    """The same, without the guests that have got another process since, or have ended.

    None when nobody has looked since the boot. Raises UuidfsError.
    """
    directory = opened(layout.locks.parent)
    if directory is None:
        return None
    with directory:
        data = directory.read(FILE, _LIMIT)
        path = directory.at(FILE)
    if data is None:
        return None
    try:
        record = parse_record(data, OutdatedRecord)
        guests = [(str(name), int(pid)) for name, pid in record.guests]
        looked, unknown = float(record.looked), int(record.unknown)
    except (ValueError, TypeError) as error:
        raise Refused(path, "this is no record of outdated guests", "remove it") from error
    kept = tuple(one for one in guests if _is_there(layout, *one))
    return OutdatedRecord(looked, kept, unknown)


def _is_there(layout: Layout, name: str, pid: int) -> bool:
    if "/" in name:  # no domain's
        return False
    return holder_of(f"{layout.status.path}/{name}.pid") == pid
