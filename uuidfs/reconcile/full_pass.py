"""A pass over everything, as the reconciler and ``uuidfs reconcile --once`` make it."""

import time

from uuidfs.convert.half_rename import finish_rename
from uuidfs.convert.results import Options, RunResult
from uuidfs.convert.run import convert
from uuidfs.errors import UuidfsError
from uuidfs.host.libvirtd import name_of
from uuidfs.layout.places import Layout

RETENTION = 3600.0  # seconds between two looks for what is past its retention
RENAME_PATIENCE = 5.0  # seconds that a rename may be in flight before it counts as cut in half


def once(layout: Layout, options: Options) -> RunResult:
    """One full pass, which never waits for a lock; renames that were cut in half are finished.

    Raises UuidfsError when nothing could be looked at.
    """
    result = convert(layout, options)
    rivals = [uuid for uuid, names in result.names.items() if len(names) > 1]
    if not rivals:
        return result
    time.sleep(RENAME_PATIENCE)  # one that is in flight is over by then
    for uuid in rivals:
        try:
            finish_rename(layout, uuid, name_of, options)
        except UuidfsError:
            continue  # the pass below reports it
    return convert(layout, options)
