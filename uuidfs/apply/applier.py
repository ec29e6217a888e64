"""Runs a plan's steps. Each is one method here, or a module of its own beside this one."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from uuidfs.apply import swap
from uuidfs.apply.open_dirs import OpenDirs, temp_keep, temp_link
from uuidfs.errors import Changed, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import DIRECTORY_MARK, TAKEN
from uuidfs.layout.places import STORE
from uuidfs.layout.trash_label import Reason
from uuidfs.plan.steps import Op, Step

if TYPE_CHECKING:
    from uuidfs.apply.trashing import Trashing


class Applier:
    """Applies steps; a context manager that makes everything durable when it ends.

    Each touched directory is synced once, at the end. No file's data is written, so a
    journaling file system keeps any prefix of the steps consistent, and nothing else needs
    syncing: guests' disks may live on the same file system.

    ``by`` is who does it, in letters and hyphens; what goes to the trash says so.
    """

    def __init__(self, dirs: TrustedDirs, by: str) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self.open_dirs = OpenDirs(dirs)
        self._by = by
        self._trashing: Trashing | None = None
        self._actions: dict[Op, Callable[[Step], None]] = {
            Op.FOLD: partial(swap.fold, self.open_dirs, self._keep),
            Op.REFOLD: partial(swap.refold, self.open_dirs, self._keep),
            Op.UNFOLD: partial(swap.unfold, self.open_dirs, self._keep),
            Op.ADD_LINK: self._add_link,
            Op.POINT_LINK: self._point_link,
            Op.DROP_LINK: self._drop_link,
            Op.MARK: self._mark,
            Op.SHARE: self._share,
            Op.DROP_STORE: self._discard,
            Op.DISCARD: self._discard,
            Op.TRASH: self._trash,
            Op.REFILE: self._refile,
            Op.RETIRE: self._retire,
            Op.GIVE_BACK: self._give_back,
            Op.RECOVER: self._recover,
            Op.RECORD: self._record,
            Op.GIVE_ONCE: self._once,
            Op.DROP_ONCE: self._once,
            Op.NOTE_ONCE: self._once,
            Op.PRUNE: self._prune,
        }

    @property
    def trashing(self) -> "Trashing":
        """What puts files into the trash; most domains need none, and the hook has no time."""
        if self._trashing is None:
            from uuidfs.apply.trashing import Trashing

            self._trashing = Trashing(self.open_dirs, self._by)
        return self._trashing

    def _trash(self, step: Step) -> None:
        self.trashing.trash(step)

    def _recover(self, step: Step) -> None:
        self.trashing.recover(step)

    def _keep(self, step: Step, store: Directory, held: str) -> None:
        self.trashing.keep(step, store, held)

    def __enter__(self) -> "Applier":
        return self

    def __exit__(self, *_: object) -> None:
        self.close_domain()
        self.sync()

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
        """Close one domain's directories."""
        self.open_dirs.close_domain()

    def sync(self) -> None:
        """Make what was done so far durable. Raises SystemCallFailed."""
        self.open_dirs.sync()

    # -- libvirt's names -----------------------------------------------------------------

    def _add_link(self, step: Step) -> None:
        names = self.open_dirs.names(step.kind, step.subdir, step.inside)
        self.open_dirs.store(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        try:
            change.symlink(text, names, step.entry)
        except FileExistsError:
            there = names.look(step.entry)
            if there is None or there.text != text:
                raise Changed(step.path(self.layout)) from None

    def _point_link(self, step: Step) -> None:
        names = self.open_dirs.names(step.kind, step.subdir, step.inside)
        store = self.open_dirs.store(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        from uuidfs.apply.take import replace

        temp = temp_link(step)
        self.open_dirs.expect(names, step)
        change.unlink(store, temp)
        change.symlink(text, store, temp)
        done = False
        try:
            if step.expect is not None:
                done = replace(names, step.entry, step.expect, store, temp)
        except OSError:
            if store.link_text(temp) is not None:
                change.unlink(store, temp)
            raise  # a file that could not be given back stays: the next run gives it back
        self._put_away(step, store, temp)
        if not done:  # virtlogd rotated in between: what it put there is there again
            raise Changed(step.path(self.layout))

    def _put_away(self, step: Step, store: Directory, held: str) -> None:
        """What came off a name: a link goes, a file that libvirt has replaced since is kept."""
        left = store.look(held)
        if left is not None and left.is_file:
            self.trashing.keep(step, store, held)
        else:
            change.unlink(store, held)

    def _drop_link(self, step: Step) -> None:
        names = self.open_dirs.names(step.kind, step.subdir, step.inside)
        there = names.look(step.entry)
        if there is None:
            return
        if not there.same_inode(step.expect):
            raise Changed(step.path(self.layout))
        if step.also:
            self._expect_another(step, names)
        from uuidfs.apply.take import take_off

        store, held = self.open_dirs.store(step), temp_link(step)
        done = take_off(names, step.entry, there, store, held)
        self._put_away(step, store, held)
        if not done:
            raise Changed(step.path(self.layout))

    def _expect_another(self, step: Step, names: Directory) -> None:
        """The same file has to have a name in another directory, that of the domain.

        QEMU's user may rename directories in here: by their names it could have shown one as
        two, and the only link to a file would go. Both are open, so that they are two.
        """
        keeper = self.open_dirs.names(step.kind, step.also)
        there = keeper.look(step.entry)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        kept = there is not None and (there.is_file or there.text == text)
        if not kept or keeper.is_same(names):
            raise Changed(step.path(self.layout))

    def _refile(self, step: Step) -> None:
        from uuidfs.apply.refile import refile  # rare, and the hook has no time

        refile(self.open_dirs, self.trashing, step)

    def _once(self, step: Step) -> None:
        from uuidfs.apply import once  # rare, and the hook has no time

        match step.op:
            case Op.GIVE_ONCE:
                once.give(self.open_dirs, step)
            case Op.DROP_ONCE:
                once.drop(self.open_dirs, self._put_away, step)
            case _:
                once.note(self.open_dirs, step)

    def _give_back(self, step: Step) -> None:
        names = self.open_dirs.names(step.kind, step.subdir, step.inside)
        store = self.open_dirs.store(step)
        from uuidfs.apply.take import replace

        if store.look(step.store_entry) is None or step.expect is None:
            raise Changed(step.path(self.layout))
        if replace(names, step.entry, step.expect, store, step.store_entry):
            change.unlink(store, step.store_entry)
        # The plan was made for the older version, and what is there now may be another domain's.
        raise Changed(step.path(self.layout))

    def _retire(self, step: Step) -> None:
        names = self.open_dirs.names(step.kind, step.subdir, step.inside)
        self.trashing.retire(step.kind, step.uuid, names, step.entry, Reason.DELETED, step.expect)

    # -- inside the store ----------------------------------------------------------------

    def _mark(self, step: Step) -> None:
        """A symlink, so that one call makes it; it needs no lock of the other domain, whose
        own plan reads and removes it."""
        store = self.open_dirs.store(step)
        try:
            change.symlink(TAKEN, store, step.store_entry)
        except FileExistsError:
            pass

    def _share(self, step: Step) -> None:
        store = self.open_dirs.store(step)
        there = store.look(step.store_entry)
        if there is None or not there.same_inode(step.expect):
            raise Changed(step.uuid_path(self.layout))
        target = store.look(step.also)
        if target is None:
            change.link(store, step.store_entry, store, step.also)
        elif not target.same_inode(there):
            keep = temp_keep(step)
            change.unlink(store, keep)
            change.link(store, step.store_entry, store, keep)
            change.rename(store, keep, store, step.also)
        change.trace("share: linked")

    def _discard(self, step: Step) -> None:
        store = self.open_dirs.store(step)
        if step.waiting:
            with self.open_dirs.inner(store, STORE) as room:
                self._discard_in(step, store, room)
        else:
            self._discard_in(step, store, store)

    def _discard_in(self, step: Step, store: Directory, directory: Directory) -> None:
        there = directory.look(step.store_entry)
        if there is None:
            return
        if not there.same_inode(step.expect):
            raise Changed(step.uuid_path(self.layout))
        if step.op is Op.DROP_STORE:
            twin = store.look(step.also)
            if twin is None or not twin.same_inode(there):
                raise Changed(step.uuid_path(self.layout))
        change.unlink(directory, step.store_entry)

    def _record(self, step: Step) -> None:
        names = self.open_dirs.names(step.kind, step.subdir, step.inside)
        inode = str(names.inode)
        if step.also not in {inode, ""}:
            raise Changed(names.path)
        store, top = self.open_dirs.store(step), self.open_dirs.top(step.kind)
        above = self.dirs.names(step.kind)
        if above is not None:
            self._note(top, str(above.inode))
        self._note(store, inode)

    def _note(self, store: Directory, inode: str) -> None:
        """Make the mark say so. A kill in between leaves none, which proves nothing: harmless."""
        noted = store.link_text(DIRECTORY_MARK)
        if noted == inode:
            return
        if noted is not None:
            change.unlink(store, DIRECTORY_MARK)
        try:
            change.symlink(inode, store, DIRECTORY_MARK)
        except FileExistsError:
            # A process beside this one has noted the kind's directory, for another domain.
            if store.link_text(DIRECTORY_MARK) != inode:
                raise Changed(store.at(DIRECTORY_MARK)) from None
        self.open_dirs.touch(store.place)

    def _prune(self, step: Step) -> None:
        top = self.dirs.store(step.kind)
        directory = top.child(step.uuid) if top is not None else None
        if top is None or directory is None:
            return
        with directory:
            if set(directory.list()) <= {DIRECTORY_MARK}:
                change.unlink(directory, DIRECTORY_MARK)
        self.open_dirs.close_store(step)
        if change.remove_directory(top, step.uuid):
            self.open_dirs.touch(top.place)
