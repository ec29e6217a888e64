"""Runs a plan's steps: with :mod:`uuidfs.fold`, the only code that changes a libvirt tree."""

import os
import time
from collections.abc import Callable
from types import TracebackType

from uuidfs.apply.open_dirs import OpenDirs, temp_keep, temp_link
from uuidfs.apply.swap import Folder
from uuidfs.errors import Changed, Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.change import NoExchangeError
from uuidfs.files.entry import look
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import STORE, TRASH, Kind, Place
from uuidfs.plan.steps import Op, Step


class Applier:
    """Applies steps; a context manager that makes everything durable when it ends.

    Each touched directory is synced once, at the end. No file's data is written, so a
    journaling file system keeps any prefix of the steps consistent, and nothing else needs
    syncing: guests' disks may live on the same file system.

    ``by`` is who does it, in letters and hyphens; what goes to the trash says so.
    """

    def __init__(self, dirs: TrustedDirs, by: str) -> None:
        self.dirs = dirs
        self.by = by
        self.layout = dirs.layout
        self.handles = OpenDirs(dirs)
        folder = Folder(self.handles)
        self._actions: dict[Op, Callable[[Step], None]] = {
            Op.FOLD: folder.fold,
            Op.REFOLD: folder.refold,
            Op.UNFOLD: folder.unfold,
            Op.ADD_LINK: self._add_link,
            Op.POINT_LINK: self._point_link,
            Op.DROP_LINK: self._drop_link,
            Op.MARK: self._mark,
            Op.SHARE: self._share,
            Op.DROP_STORE: self._discard,
            Op.DISCARD: self._discard,
            Op.TRASH: self._trash,
            Op.REFILE: self._refile,
            Op.PRUNE: self._prune,
        }

    def __enter__(self) -> "Applier":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close_domain()
        self.handles.sync()

    def run(self, step: Step) -> None:
        """Apply one step; when its result is there already, that is success.

        Raises Changed when what the step expects is gone, SystemCallFailed or Refused when
        it cannot be done. After an error the name opens the file that it opened before.
        """
        try:
            self._actions[step.op](step)
        except FileNotFoundError as error:
            # Rotated, renamed or removed by libvirt since the look: not a failure of the disk.
            raise Changed(step.path(self.layout)) from error
        except OSError as error:
            raise SystemCallFailed(step.op.value, step.path(self.layout), error) from error

    def close_domain(self) -> None:
        """Close the descriptors of one domain's directories."""
        self.handles.close_domain()

    def _add_link(self, step: Step) -> None:
        names = self.handles.names(step.kind, step.subdir)
        self.handles.store(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        try:
            change.symlink(text, names, step.entry)
        except FileExistsError:
            there = look(names, step.entry)
            if there is None or there.text != text:
                raise Changed(step.path(self.layout)) from None

    def _point_link(self, step: Step) -> None:
        names = self.handles.names(step.kind, step.subdir)
        store = self.handles.store(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        temp = temp_link(step)
        self.handles.expect(names, step)
        change.unlink(store, temp)
        change.symlink(text, store, temp)
        try:
            change.exchange(store, temp, names, step.entry)
        except NoExchangeError:
            change.rename(store, temp, names, step.entry)
            return
        except FileNotFoundError:
            change.unlink(store, temp)
            raise Changed(step.path(self.layout)) from None
        displaced = look(store, temp)
        if displaced is not None and not displaced.same_inode(step.expect):
            # virtlogd rotated in between: what it put there goes back.
            change.exchange(store, temp, names, step.entry)
            change.unlink(store, temp)
            raise Changed(step.path(self.layout))
        change.unlink(store, temp)

    def _drop_link(self, step: Step) -> None:
        names = self.handles.names(step.kind, step.subdir)
        there = look(names, step.entry)
        if there is None:
            return
        if not there.same_inode(step.expect):
            raise Changed(step.path(self.layout))
        if step.other:
            self._expect_another(step, names)
        change.unlink(names, step.entry)

    def _expect_another(self, step: Step, names: int) -> None:
        """The same file has to have a name in another directory, that of the domain.

        QEMU's user may rename directories in here: by their names it could have shown one as
        two, and the only link to a file would go. Both are open, so that they are two.
        """
        keeper = self.handles.names(step.kind, step.other)
        there = look(keeper, step.entry)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        kept = there is not None and (there.is_file or there.text == text)
        if not kept or os.path.sameopenfile(keeper, names):
            raise Changed(step.path(self.layout))

    # -- inside the store ----------------------------------------------------------------

    def _mark(self, step: Step) -> None:
        """A symlink, so that one call makes it; it needs no lock of the other domain, whose
        own plan reads and removes it."""
        store = self.handles.store(step)
        try:
            change.symlink("taken", store, step.store_entry)
        except FileExistsError:
            pass

    def _share(self, step: Step) -> None:
        store = self.handles.store(step)
        there = look(store, step.store_entry)
        if there is None or not there.same_inode(step.expect):
            raise Changed(step.uuid_path(self.layout))
        target = look(store, step.other)
        if target is None:
            change.link(store, step.store_entry, store, step.other)
        elif not target.same_inode(there):
            keep = temp_keep(step)
            change.unlink(store, keep)
            change.link(store, step.store_entry, store, keep)
            change.rename(store, keep, store, step.other)
        change.trace("share: linked")

    def _discard(self, step: Step) -> None:
        store = self.handles.store(step)
        place = self.layout.store_place(step.kind, step.uuid)
        room = step.room
        fd = self.handles.inner(store, STORE, place) if room else store
        try:
            there = look(fd, step.store_entry)
            if there is None:
                return
            if not there.same_inode(step.expect):
                raise Changed(step.uuid_path(self.layout))
            if step.op is Op.DROP_STORE:
                twin = look(store, step.other)
                if twin is None or not twin.same_inode(there):
                    raise Changed(step.uuid_path(self.layout))
            change.unlink(fd, step.store_entry)
        finally:
            if room:
                os.close(fd)

    def _trash(self, step: Step) -> None:
        """Rename into trash/UUID~TIME~REASON~BY/, beside the store's files and on their disk."""
        store = self.handles.store(step)
        top = self.dirs.store(step.kind)
        if top is None:
            raise Changed(step.uuid_path(self.layout))
        there = look(store, step.store_entry) if not step.room else step.expect
        if there is None or not there.same_inode(step.expect):
            raise Changed(step.uuid_path(self.layout))
        place = self.layout.stores[step.kind]
        reason = step.other.split(" from ")[0].replace(" ", "-").replace("/", "-")
        source = self.handles.inner(store, STORE, place) if step.room else store
        try:
            trash = self.handles.inner(top, TRASH, place)
            try:
                self._into_trash(step, source, trash, reason)
            finally:
                os.close(trash)
        finally:
            if step.room:
                os.close(source)

    def retire(  # what is taken from where, and why
        self,
        kind: Kind,
        uuid: str,
        directory: int,
        entry: str,
        place: Place,
        reason: str = "lost-a-rename",
    ) -> None:
        """Take a name away that lost to another one: a link is removed, a file goes to the trash.

        The caller holds the domain's lock.
        """
        there = look(directory, entry)
        self.handles.touch(place)
        if there is None:
            return
        if there.text is not None:
            change.unlink(directory, entry)
            return
        if not there.is_file:
            raise Refused(f"{place.path}/{entry}", f"{there.noun} is in the place of a file")
        step = Step(Op.TRASH, kind, uuid, store_entry=entry, expect=there)
        trash = self.handles.inner(self.handles.top(kind), TRASH, self.layout.stores[kind])
        try:
            self._into_trash(step, directory, trash, reason)
        finally:
            os.close(trash)

    def _into_trash(self, step: Step, source: int, trash: int, reason: str) -> None:
        label = f"{step.uuid}~{_now()}~{reason}~{self.by}"
        place = self.layout.stores[step.kind].child(TRASH)
        for number in range(1000):
            name = label if not number else f"{label}~{number}"
            inner = self.handles.inner(trash, name, place)
            try:
                if look(inner, step.store_entry) is None:
                    change.rename(source, step.store_entry, inner, step.store_entry)
                    return
            except OSError:
                change.remove_directory(trash, name)
                raise
            finally:
                os.close(inner)
        raise Refused(place.path, "it is full of files of one second", "empty it")

    def _refile(self, step: Step) -> None:
        """snapshot/NAME/CHK.xml -> the checkpoint store, linked from checkpoint/NAME."""
        wrong = self.handles.names(Kind.SNAPSHOT, step.subdir)
        self.handles.expect(wrong, step)
        store = self.handles.store(step)
        text = self.layout.link_text(Kind.CHECKPOINT, step.uuid, step.store_entry)
        names = self._checkpoint_names(step)
        there = look(names, step.entry)
        kept = look(store, step.store_entry)
        if there is not None and not (
            there.text == text and kept is not None and kept.same_inode(step.expect)
        ):
            # The checkpoint was redefined since: libvirt wrote that one last.
            place = self.layout.name_place(Kind.SNAPSHOT, step.subdir)
            self.retire(Kind.SNAPSHOT, step.uuid, wrong, step.entry, place, "superseded")
            return
        keep = temp_keep(step)
        change.unlink(store, keep)
        change.link(wrong, step.entry, store, keep)
        kept = look(store, keep)
        if kept is None or not kept.same_inode(step.expect):
            change.unlink(store, keep)
            raise Changed(step.path(self.layout))
        if kept.same_inode(look(store, step.store_entry)):
            change.unlink(store, keep)  # rename(2) of two links to one inode removes neither
        else:
            try:
                change.rename(store, keep, store, step.store_entry)
            except OSError:
                change.unlink(store, keep)
                raise
        try:
            change.symlink(text, names, step.entry)
        except FileExistsError:
            there = look(names, step.entry)
            if there is None or there.text != text:
                raise Changed(step.path(self.layout)) from None
        change.trace("refile: linked")
        self.handles.expect(wrong, step)
        change.unlink(wrong, step.entry)

    def _checkpoint_names(self, step: Step) -> int:
        """checkpoint/NAME, made as libvirt makes it: by root, mode 0777 less the umask."""
        parent = self.dirs.names(Kind.CHECKPOINT)
        if parent is None:
            raise Changed(self.layout.names[Kind.CHECKPOINT].path)
        made = change.make_directory(parent, step.subdir, 0o755, os.getegid())
        if made is not None:
            os.close(made)
            self.handles.touch(self.layout.names[Kind.CHECKPOINT])
        return self.handles.names(Kind.CHECKPOINT, step.subdir)

    def _prune(self, step: Step) -> None:
        top = self.dirs.store(step.kind)
        if top is None:
            return
        self.handles.close_store(step)
        if change.remove_directory(top, step.uuid):
            self.handles.touch(self.layout.stores[step.kind])


def _now() -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime())
