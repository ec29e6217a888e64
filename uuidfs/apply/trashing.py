"""Puts files into the trash: a rename into STORE/trash/UUID~TIME~REASON~BY/, never a copy."""

import time

from uuidfs.apply.open_dirs import OpenDirs
from uuidfs.errors import Changed, Refused
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.layout.places import STORE, TRASH, Kind
from uuidfs.layout.trash_label import Reason, TrashLabel
from uuidfs.plan.steps import Step

_MOST = 1000  # files of one name, UUID and second


class Trashing:
    """``by`` is who does it, in letters and hyphens; what goes to the trash says so."""

    def __init__(self, open_dirs: OpenDirs, by: str) -> None:
        self.open_dirs = open_dirs
        self.by = by

    def trash(self, step: Step) -> None:
        """Take a file of the store away. Raises Changed when it is not what was expected."""
        store = self.open_dirs.store(step)
        top = self.open_dirs.top(step.kind)
        reason = step.reason or Reason.UNNAMED
        if step.waiting:
            with self.open_dirs.inner(store, STORE) as room:
                self._move(step.kind, step.uuid, room, step.store_entry, reason)
            return
        there = store.look(step.store_entry)
        if there is None or not there.same_inode(step.expect):
            raise Changed(step.uuid_path(self.open_dirs.layout))
        self._move(step.kind, step.uuid, store, step.store_entry, reason, top)

    def retire(  # what is taken from where, and why
        self, kind: Kind, uuid: str, directory: Directory, entry: str, reason: Reason
    ) -> None:
        """Take a name of libvirt's away that lost to another one: a link is removed, a file
        goes to the trash.

        The caller holds the domain's lock. Raises Refused for what is neither.
        """
        there = directory.look(entry)
        self.open_dirs.touch(directory.place)
        if there is None:
            return
        if there.text is not None:
            change.unlink(directory, entry)
            return
        if not there.is_file:
            raise Refused(directory.at(entry), f"{there.noun} is in the place of a file")
        self._move(kind, uuid, directory, entry, reason)

    def _move(
        self,
        kind: Kind,
        uuid: str,
        source: Directory,
        entry: str,
        reason: Reason,
        top: Directory | None = None,
    ) -> None:
        label = TrashLabel(uuid, _now(), reason.value, self.by)
        with self.open_dirs.inner(top or self.open_dirs.top(kind), TRASH) as trash:
            for number in range(_MOST):
                name = label.text(number)
                with self.open_dirs.inner(trash, name) as inner:
                    try:
                        if inner.look(entry) is None:
                            change.rename(source, entry, inner, entry)
                            return
                    except OSError:
                        change.remove_directory(trash, name)
                        raise
            raise Refused(trash.path, "it is full of files of one second", "empty it")


def _now() -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime())
