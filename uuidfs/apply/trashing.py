"""Puts files into the trash: a rename into STORE/trash/UUID~TIME~REASON~BY/, never a copy."""

import time

from uuidfs.apply.open_dirs import OpenDirs, temp_keep, temp_link
from uuidfs.apply.take import take_off
from uuidfs.errors import Changed, Refused
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.layout.places import STORE, TRASH, Kind
from uuidfs.layout.trash_label import Reason, TrashLabel
from uuidfs.plan.steps import Op, Step

_MOST = 1000  # files of one name, UUID and second


class Trashing:
    """``by`` is who does it, in letters and hyphens; what goes to the trash says so."""

    def __init__(self, open_dirs: OpenDirs, by: str) -> None:
        self.open_dirs = open_dirs
        self.by = by

    def trash(self, step: Step) -> None:
        """Take a file of the store away. Raises Changed when it is not what was expected."""
        store = self.open_dirs.store(step)
        reason = step.reason or Reason.UNNAMED
        if step.waiting:
            with self.open_dirs.inner(store, STORE) as room:
                self._move(step.kind, step.uuid, room, step.store_entry, reason, expect=step.expect)
            return
        there = store.look(step.store_entry)
        if there is None or not there.same_inode(step.expect):
            raise Changed(step.uuid_path(self.open_dirs.layout))
        self._move(step.kind, step.uuid, store, step.store_entry, reason, expect=there)

    def keep(self, step: Step, store: Directory, held: str) -> None:
        """A version that came off a name, and that libvirt has replaced there since."""
        self._move(step.kind, step.uuid, store, held, Reason.SUPERSEDED, name=step.store_entry)

    def retire(  # what is taken from where, and why
        self,
        kind: Kind,
        uuid: str,
        directory: Directory,
        entry: str,
        reason: Reason,
        expect: Entry | None = None,
    ) -> None:
        """Take a name of libvirt's away that lost to another one: a link is removed, a file
        goes to the trash.

        The caller holds the domain's lock. Raises Refused for what is neither, Changed when it is
        not ``expect`` (or not what was there a moment ago): then it is left.
        """
        there = directory.look(entry)
        self.open_dirs.touch(directory.place)
        if there is None:
            return
        if expect is not None and not there.is_unchanged(expect):
            raise Changed(directory.at(entry))
        step = Step(Op.TRASH, kind, uuid, store_entry=entry)
        if there.text is not None:
            store, held = self.open_dirs.store(step), temp_link(step)
            if not take_off(directory, entry, there, store, held):
                if (left := store.look(held)) is not None and left.is_file:
                    self.keep(step, store, held)
                raise Changed(directory.at(entry))
            change.unlink(store, held)
            return
        if not there.is_file:
            raise Refused(directory.at(entry), f"{there.noun} is in the place of a file")
        self._move(kind, uuid, directory, entry, reason, expect=there)

    def copy(self, kind: Kind, uuid: str, entry: str, reason: Reason) -> None:
        """Give a file of the store a second name in the trash: its own is about to be replaced."""
        step = Step(Op.TRASH, kind, uuid, store_entry=entry)
        store = self.open_dirs.store(step)
        keep = temp_keep(step)
        if store.look(entry) is None:
            return
        change.unlink(store, keep)
        change.link(store, entry, store, keep)
        self._move(kind, uuid, store, keep, reason, name=entry)

    def recover(self, step: Step) -> None:
        """Bring a file back whose name never went. Raises Changed when something is in its place,
        or the trash has it no more."""
        store = self.open_dirs.store(step)
        trash = self.open_dirs.top(step.kind).child(TRASH)
        if trash is None:
            raise Changed(step.uuid_path(self.open_dirs.layout))
        with trash:
            inner = trash.child(step.also)
            if inner is None:
                raise Changed(trash.at(step.also))
            with inner:
                self.open_dirs.dirs.check_store(inner)
                try:
                    change.link(inner, step.store_entry, store, step.store_entry)
                except FileExistsError as error:
                    raise Changed(store.at(step.store_entry)) from error
                change.trace("recover: linked")
                change.sync_directory(store)  # as restore does, before the other name goes
                change.unlink(inner, step.store_entry)
                self.open_dirs.touch(inner.place)
            change.remove_directory(trash, step.also)
            self.open_dirs.touch(trash.place)

    def _move(  # what, where from, and why
        self,
        kind: Kind,
        uuid: str,
        source: Directory,
        entry: str,
        reason: Reason,
        *,
        name: str | None = None,
        expect: Entry | None = None,
    ) -> None:
        """As :func:`into_trash`, in the store of the kind."""
        label = TrashLabel(uuid, now(), reason.value, self.by)
        top = self.open_dirs.top(kind)
        into_trash(self.open_dirs, top, label, source, entry, name=name, expect=expect)


def into_trash(  # what, where from, where to
    open_dirs: OpenDirs,
    top: Directory,
    label: TrashLabel,
    source: Directory,
    entry: str,
    *,
    name: str | None = None,
    expect: Entry | None = None,
) -> None:
    """Rename into the trash below ``top``, as ``name``. With ``expect`` what came off is compared:
    another file goes back, unless something newer is there by now, and Changed is raised."""
    name = name or entry
    with open_dirs.inner(top, TRASH) as trash:
        for number in range(_MOST):
            text = label.text(number)
            with open_dirs.inner(trash, text) as inner:
                try:
                    change.rename_new(source, entry, inner, name)
                except FileExistsError:
                    continue
                except OSError:
                    change.remove_directory(trash, text)
                    raise
                change.trace("trash: moved")
                got = inner.look(name)
                if expect is None or (got is not None and got.same_inode(expect)):
                    return
                try:
                    change.rename_new(inner, name, source, entry)
                except FileExistsError:
                    pass  # newer than what came off, which the trash keeps
                else:
                    change.remove_directory(trash, text)
                raise Changed(source.at(entry))
        raise Refused(trash.path, "it is full of files of one second", "empty it")


def now() -> str:
    """The time as a label has it."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime())
