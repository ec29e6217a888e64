"""What the reconciler looks after every two seconds, besides files: renames and migrations."""

import os
from collections.abc import Iterable
from typing import NamedTuple

from uuidfs.convert.half_rename import finish_rename
from uuidfs.convert.results import Options
from uuidfs.errors import UuidfsError
from uuidfs.host.libvirtd import name_of
from uuidfs.layout.places import Layout
from uuidfs.reconcile.full_pass import BY, RENAME_PATIENCE
from uuidfs.reconcile.interface import Listener
from uuidfs.runtime import sessions

RECOVER = 60.0  # seconds between a recovery and the next attempt, doubled each time
RECOVER_AT_MOST = 3600.0


class HalfRenames:
    """Finishes renames that were cut in half: two names of one UUID, for some seconds."""

    def __init__(self, layout: Layout, listener: Listener) -> None:
        self._layout = layout
        self._listener = listener
        self._since: dict[str, float] = {}  # UUID -> when a second name was first seen

    def look(self, rivals: Iterable[str], now: float) -> bool:
        """``rivals`` are the UUIDs with several names; tells whether a full pass is due."""
        self._since = {uuid: self._since.get(uuid, now) for uuid in rivals}
        due = False
        for uuid, since in self._since.items():
            if now - since < RENAME_PATIENCE:
                continue
            fields: dict[str, object] = {"uuid": uuid, "action": "finish-rename"}
            options = Options(lock_timeout=0.0, by=BY)
            try:
                done = finish_rename(self._layout, uuid, name_of, options)
            except UuidfsError as error:
                self._listener.warning(str(error), fields)
                self._since[uuid] = now  # again after as long
            else:
                due = True
                if done is not None:
                    self._listener.info(f"name is {done.winner!r}", {**fields, "name": done.winner})
        return due


class _Attempt(NamedTuple):
    """The last recovery of a domain's trip: which trip, how long to wait, and until when."""

    since: float | None
    wait: float
    until: float


class Orphans:
    """Has local migrations finished whose owner died: again and again, less and less often.

    Each attempt may start a daemon and a QEMU. So the wait of a domain grows until its session
    is gone, and it begins anew only for the next session. A recovery that runs is the session's
    owner: that it is no orphan meanwhile says nothing, and the wait begins at its end.
    """

    def __init__(self, layout: Layout, listener: Listener) -> None:
        self._layout = layout
        self._listener = listener
        self._attempts: dict[str, _Attempt] = {}

    def look(self, now: float) -> bool:
        """Tells whether a recovery was begun: then a full pass is due soon."""
        recover = self._listener.recover
        if recover is None:
            return False
        try:
            trips = sessions.open_trips(self._layout)
        except UuidfsError as error:
            self._listener.warning(str(error), {"action": "recover"})
            return False
        self._attempts = {
            uuid: last._replace(until=now + last.wait) if trips[uuid].alive else last
            for uuid, last in self._attempts.items()
            if uuid in trips and trips[uuid].since == last.since
        }
        orphans = sorted(uuid for uuid, trip in trips.items() if not trip.alive)
        if all(uuid in self._attempts and now < self._attempts[uuid].until for uuid in orphans):
            return False
        for uuid in orphans:  # one recovery tries them all
            last = self._attempts.get(uuid)
            wait = min(2 * last.wait, RECOVER_AT_MOST) if last is not None else RECOVER
            self._attempts[uuid] = _Attempt(trips[uuid].since, wait, now + wait)
            fields = {"uuid": uuid, "action": "recover"}
            self._listener.info("a local migration has lost its owner", fields)
        recover()
        return True


def read_only(layout: Layout) -> frozenset[str]:
    """Those of libvirt's directories that this process sees on a read-only mount."""
    return frozenset(place.path for place in layout.names.values() if _is_read_only(place.path))


def _is_read_only(path: str) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False  # missing: the watcher waits for it
