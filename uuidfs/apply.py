"""Runs a plan's steps: the only code that changes a libvirt tree.

docs/design.md draws the protocol. In short: the store's name first holds a *placeholder*, a
symlink that says what the name's link is to say; then one renameat2(RENAME_EXCHANGE) swaps
it with libvirt's file. At that instant the name becomes a link to the very file it was, and
whatever libvirt wrote last is what the store has. There is no moment in which the name is
missing, torn or older than before, and no kill leaves more than a placeholder.
"""

import os
import time
from collections.abc import Callable
from types import TracebackType

from uuidfs import fs
from uuidfs.dirs import Dirs, opened_below
from uuidfs.errors import Changed, Refused, SystemCallFailed
from uuidfs.fs import Entry, NoExchangeError
from uuidfs.layout import STORE, TRASH, Kind, Place
from uuidfs.plan import Op, Step
from uuidfs.scan import KEEP_TEMP, LINK_TEMP


class Applier:
    """Applies steps; a context manager that makes everything durable when it ends.

    Each touched directory is synced once, at the end. No file's data is written, so a
    journaling file system keeps any prefix of the steps consistent, and nothing else needs
    syncing: guests' disks may live on the same file system.
    """

    def __init__(self, dirs: Dirs) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self._touched: dict[Place, None] = {}
        self._subs: dict[tuple[Kind, bool, str], int] = {}
        self._actions: dict[Op, Callable[[Step], None]] = {
            Op.FOLD: self._fold,
            Op.REFOLD: self._refold,
            Op.UNFOLD: self._unfold,
            Op.ADD_LINK: self._add_link,
            Op.POINT_LINK: self._point_link,
            Op.DROP_LINK: self._drop_link,
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
        self.sync()

    def run(self, step: Step) -> None:
        """Apply one step; when its result is there already, that is success.

        Raises Changed when what the step expects is gone, SystemCallFailed or Refused when
        it cannot be done. After an error the name opens the file that it opened before.
        """
        try:
            self._actions[step.op](step)
        except OSError as error:
            raise SystemCallFailed(step.op.value, step.path(self.layout), error) from error

    def close_domain(self) -> None:
        """Close the descriptors of one domain's directories."""
        for fd in self._subs.values():
            os.close(fd)
        self._subs.clear()

    def sync(self) -> None:
        """fsync every directory that was touched since the last call.

        Raises SystemCallFailed: the changes are visible, but may not survive a power cut.
        """
        touched, self._touched = self._touched, {}
        for place in touched:
            try:
                fd = fs.open_place(place)
            except (OSError, Refused):
                continue  # removed since: its parent is synced
            try:
                fs.sync_directory(fd)
            except OSError as error:
                raise SystemCallFailed("sync", place.path, error) from error
            finally:
                os.close(fd)

    # -- directories ---------------------------------------------------------------------

    def _touch(self, place: Place) -> None:
        self._touched[place] = None

    def _names(self, kind: Kind, subdir: str) -> int:
        """libvirt's directory; it exists, or there would be no step."""
        place = self.layout.name_place(kind, subdir)
        self._touch(place)
        parent = self.dirs.names(kind)
        if parent is None:
            raise Changed(place.path)
        return self._sub(kind, False, subdir, parent, place) if kind.is_metadata else parent

    def _store(self, step: Step, kind: Kind | None = None) -> int:
        """Our directory, made when it is missing."""
        kind = kind or step.kind
        place = self.layout.store_place(kind, step.uuid)
        self._touch(place)
        top = self.dirs.store(kind)
        if top is None:
            top = self._make_store(kind)
        if not kind.is_metadata:
            return top
        if (kind, True, step.uuid) not in self._subs:
            found = os.fstat(top)
            if fs.make_directory(top, step.uuid, found.st_mode & 0o7755, found.st_gid):
                self._touch(self.layout.stores[kind])
        return self._sub(kind, True, step.uuid, top, place)

    def _sub(self, kind: Kind, store: bool, name: str, parent: int, place: Place) -> int:
        key = (kind, store, name)
        if key not in self._subs:
            fd = opened_below(parent, name, place.path)
            if fd is None:
                raise Changed(place.path)
            self._subs[key] = fd
            if store:
                self.dirs.check_store(fd, place)
            elif os.fstat(fd).st_uid not in self.dirs.trusted:
                raise Refused(place.path, "this directory is not libvirt's")
        return self._subs[key]

    def _make_store(self, kind: Kind) -> int:
        """Make by-uuid (and by-uuid/KIND): mode and group of the directory above, owner us."""
        place = self.layout.stores[kind]
        depth = len(place.below) - (2 if kind.is_metadata else 1)
        for level in range(depth, len(place.below)):
            above = Place(place.base, place.below[:level])
            fd = fs.open_place(above)
            try:
                found = os.fstat(fd)
                names = self.dirs.names(kind)
                if names is not None and os.fstat(names).st_dev != found.st_dev:
                    raise Refused(
                        place.path,
                        f"it would be on another file system than "
                        f"{self.layout.names[kind].path} (EXDEV)",
                        "files are moved, never copied: mount both together",
                    )
                mode = found.st_mode & 0o7755
                if fs.make_directory(fd, place.below[level], mode, found.st_gid):
                    self._touch(above)
            finally:
                os.close(fd)
        self.dirs.reopen_store(kind)
        made = self.dirs.store(kind)
        if made is None:
            raise Changed(place.path)
        return made

    def _inner(self, top: int, name: str, place: Place) -> int:
        """Open a directory of our own inside a store (waiting room, trash), made when missing.

        The caller closes it.
        """
        found = os.fstat(top)
        if fs.make_directory(top, name, found.st_mode & 0o7755, found.st_gid):
            self._touch(place)
        fd = opened_below(top, name, place.child(name).path)
        if fd is None:
            raise Changed(place.child(name).path)
        self._touch(place.child(name))
        return fd

    # -- the folding protocol ------------------------------------------------------------

    def _fold(self, step: Step) -> None:
        """First fold: placeholder at the store's name, then the swap."""
        names = self._names(step.kind, step.subdir)
        store = self._store(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        self._expect(names, step)
        try:
            fs.symlink(text, store, step.store_entry)
        except FileExistsError:
            there = fs.look(store, step.store_entry)
            if there is None or there.text != text:
                raise Changed(step.uuid_path(self.layout)) from None
        fs.trace("fold: placeholder made")
        self._swap(step, names, store)

    def _refold(self, step: Step) -> None:
        """The store has an older version: the newer one replaces it under both names.

        The waiting room makes the placeholder resolve while it is still in the store: its
        text by-uuid/UUID.xml, read from inside by-uuid, is the waiting room's file. Without
        it, a reader that was between the link and its target since before libvirt's own
        rename, and a reader of the UUID path, would find nothing for a moment. Metadata has
        no such room (name and store are equally deep): there the placeholder is a loop for
        these microseconds, and only for such readers.
        """
        names = self._names(step.kind, step.subdir)
        store = self._store(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        self._expect(names, step)
        room = None
        if not step.kind.is_metadata:
            room = self._inner(store, STORE, self.layout.stores[step.kind])
        try:
            if room is not None:
                fs.unlink(room, step.store_entry)
                fs.link(names, step.entry, room, step.store_entry)
                waiting = fs.look(room, step.store_entry)
                if waiting is None or not waiting.same_inode(step.expect):
                    # Not the file that was looked at: it may even be another domain's.
                    fs.unlink(room, step.store_entry)
                    raise Changed(step.path(self.layout))
            fs.trace("refold: waiting")
            temp = self._temp_link(step)
            fs.unlink(store, temp)
            fs.symlink(text, store, temp)
            fs.rename(store, temp, store, step.store_entry)
            fs.trace("refold: placeholder made")
            self._swap(step, names, store)
            if room is not None:
                fs.unlink(room, step.store_entry)
        except OSError:
            there = fs.look(names, step.entry)
            if room is not None and there is not None and there.same_inode(step.expect):
                fs.unlink(room, step.store_entry)  # the name still has it
            raise
        finally:
            if room is not None:
                os.close(room)

    def _swap(self, step: Step, names: int, store: int) -> None:
        """Exchange the placeholder with the name's file, whichever that is by now."""
        try:
            fs.exchange(store, step.store_entry, names, step.entry)
        except NoExchangeError:
            self._swap_without_exchange(step, names, store)
            return
        except FileNotFoundError:
            # libvirt removed the name: there is nothing to fold, and nothing comes back.
            self._withdraw(step, store)
            raise Changed(step.path(self.layout)) from None
        except OSError:
            self._withdraw(step, store)
            raise
        fs.trace("fold: swapped")
        got = fs.look(store, step.store_entry)
        if got is None or not got.same_inode(step.expect):
            self._check_newer(step, names, store, got)

    def _check_newer(self, step: Step, names: int, store: int, got: Entry | None) -> None:
        """libvirt wrote between look and swap. Its own next version is what we want; any
        other file (the name was given to another domain meanwhile) goes back at once."""
        if got is not None and got.is_file and self._same_owner(step, store, got):
            return
        fs.exchange(store, step.store_entry, names, step.entry)
        self._withdraw(step, store)
        raise Changed(step.path(self.layout))

    def _same_owner(self, step: Step, store: int, got: Entry) -> bool:
        from uuidfs.xmlread import MAX_BYTES, read_expat

        if step.kind is Kind.LOG:
            return False  # a log is never rewritten: another file is another rotation
        if got.uid not in self.dirs.trusted:
            return False
        data, _ = fs.read_small(store, step.store_entry, MAX_BYTES, step.path(self.layout))
        identity = read_expat(data)
        return not isinstance(identity, str) and identity.uuid in {step.uuid, None}

    def _swap_without_exchange(self, step: Step, names: int, store: int) -> None:
        """The fallback: hard link into the store, look once more, rename the link over the name.

        Between the last look and the rename libvirt could put a newer version at the name,
        which the rename would then remove. Without RENAME_EXCHANGE that gap of some
        microseconds cannot be closed, only kept as short as this.
        """
        temp, keep = self._temp_link(step), self._temp_keep(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        try:
            fs.unlink(store, keep)
            fs.link(names, step.entry, store, keep)
            kept = fs.look(store, keep)
            if kept is None or not kept.same_inode(step.expect):
                raise Changed(step.path(self.layout))
            fs.rename(store, keep, store, step.store_entry)
            fs.unlink(store, temp)
            fs.symlink(text, store, temp)
            fs.trace("fold: before the rename of the fallback")
            self._expect(names, step)
            fs.rename(store, temp, names, step.entry)
        except FileNotFoundError:
            self._withdraw(step, store)
            raise Changed(step.path(self.layout)) from None
        except (OSError, Changed):
            self._withdraw(step, store)
            raise

    def _withdraw(self, step: Step, store: int) -> None:
        """Take back what a fold that did not happen has made; the name was never touched."""
        for entry in (self._temp_link(step), self._temp_keep(step)):
            fs.unlink(store, entry)
        there = fs.look(store, step.store_entry)
        if there is not None and (there.text is not None or there.same_inode(step.expect)):
            fs.unlink(store, step.store_entry)

    def _unfold(self, step: Step) -> None:
        """The way back: swap the link with the file, then remove the link."""
        names = self._names(step.kind, step.subdir)
        store = self._store(step)
        self._expect(names, step)
        got = fs.look(store, step.store_entry)
        if got is None or not got.is_file:
            raise Changed(step.uuid_path(self.layout))
        try:
            fs.exchange(store, step.store_entry, names, step.entry)
        except NoExchangeError:
            fs.rename(store, step.store_entry, names, step.entry)
            return
        except FileNotFoundError:
            raise Changed(step.path(self.layout)) from None
        fs.trace("unfold: swapped")
        displaced = fs.look(store, step.store_entry)
        if displaced is not None and not displaced.same_inode(step.expect):
            # libvirt wrote the name meanwhile: that is newer, it goes back.
            fs.exchange(store, step.store_entry, names, step.entry)
            raise Changed(step.path(self.layout))
        fs.unlink(store, step.store_entry)

    # -- links ---------------------------------------------------------------------------

    def _add_link(self, step: Step) -> None:
        names = self._names(step.kind, step.subdir)
        self._store(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        try:
            fs.symlink(text, names, step.entry)
        except FileExistsError:
            there = fs.look(names, step.entry)
            if there is None or there.text != text:
                raise Changed(step.path(self.layout)) from None

    def _point_link(self, step: Step) -> None:
        names = self._names(step.kind, step.subdir)
        store = self._store(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        temp = self._temp_link(step)
        self._expect(names, step)
        fs.unlink(store, temp)
        fs.symlink(text, store, temp)
        try:
            fs.exchange(store, temp, names, step.entry)
        except NoExchangeError:
            fs.rename(store, temp, names, step.entry)
            return
        except FileNotFoundError:
            fs.unlink(store, temp)
            raise Changed(step.path(self.layout)) from None
        displaced = fs.look(store, temp)
        if displaced is not None and not displaced.same_inode(step.expect):
            # virtlogd rotated in between: what it put there goes back.
            fs.exchange(store, temp, names, step.entry)
            fs.unlink(store, temp)
            raise Changed(step.path(self.layout))
        fs.unlink(store, temp)

    def _drop_link(self, step: Step) -> None:
        names = self._names(step.kind, step.subdir)
        there = fs.look(names, step.entry)
        if there is None:
            return
        if not there.same_inode(step.expect):
            raise Changed(step.path(self.layout))
        fs.unlink(names, step.entry)

    # -- inside the store ----------------------------------------------------------------

    def _share(self, step: Step) -> None:
        store = self._store(step)
        there = fs.look(store, step.store_entry)
        if there is None or not there.same_inode(step.expect):
            raise Changed(step.uuid_path(self.layout))
        target = fs.look(store, step.other)
        if target is None:
            fs.link(store, step.store_entry, store, step.other)
        elif not target.same_inode(there):
            keep = self._temp_keep(step)
            fs.unlink(store, keep)
            fs.link(store, step.store_entry, store, keep)
            fs.rename(store, keep, store, step.other)
        fs.trace("share: linked")

    def _discard(self, step: Step) -> None:
        store = self._store(step)
        place = self.layout.store_place(step.kind, step.uuid)
        room = step.room
        fd = self._inner(store, STORE, place) if room else store
        try:
            there = fs.look(fd, step.store_entry)
            if there is None:
                return
            if not there.same_inode(step.expect):
                raise Changed(step.uuid_path(self.layout))
            if step.op is Op.DROP_STORE:
                twin = fs.look(store, step.other)
                if twin is None or not twin.same_inode(there):
                    raise Changed(step.uuid_path(self.layout))
            fs.unlink(fd, step.store_entry)
        finally:
            if room:
                os.close(fd)

    def _trash(self, step: Step) -> None:
        """Rename into trash/UUID~TIME~REASON/, beside the store's files and on their disk."""
        store = self._store(step)
        top = self.dirs.store(step.kind)
        if top is None:
            raise Changed(step.uuid_path(self.layout))
        there = fs.look(store, step.store_entry) if not step.room else step.expect
        if there is None or not there.same_inode(step.expect):
            raise Changed(step.uuid_path(self.layout))
        place = self.layout.stores[step.kind]
        reason = step.other.split(" from ")[0].replace(" ", "-").replace("/", "-")
        source = self._inner(store, STORE, place) if step.room else store
        try:
            trash = self._inner(top, TRASH, place)
            try:
                self._into_trash(step, source, trash, f"{step.uuid}~{_now()}~{reason}")
            finally:
                os.close(trash)
        finally:
            if step.room:
                os.close(source)

    def retire(self, kind: Kind, uuid: str, directory: int, entry: str, place: Place) -> None:
        """Take a losing name away: a link is removed, a file goes to the trash.

        For :mod:`uuidfs.rivals`, which holds the domain's lock.
        """
        there = fs.look(directory, entry)
        self._touch(place)
        if there is None:
            return
        if there.text is not None:
            fs.unlink(directory, entry)
            return
        step = Step(Op.TRASH, kind, uuid, store_entry=entry, expect=there)
        self._store(step)
        top = self.dirs.store(kind)
        if top is None or not there.is_file:
            raise Refused(f"{place.path}/{entry}", f"{there.noun} is in the place of a file")
        trash = self._inner(top, TRASH, self.layout.stores[kind])
        try:
            self._into_trash(step, directory, trash, f"{uuid}~{_now()}~lost-a-rename")
        finally:
            os.close(trash)

    def _into_trash(self, step: Step, source: int, trash: int, label: str) -> None:
        place = self.layout.stores[step.kind].child(TRASH)
        for number in range(1000):
            name = label if not number else f"{label}~{number}"
            inner = self._inner(trash, name, place)
            try:
                if fs.look(inner, step.store_entry) is None:
                    fs.rename(source, step.store_entry, inner, step.store_entry)
                    return
            finally:
                os.close(inner)
        raise Refused(place.path, "it is full of files of one second", "empty it")

    def _refile(self, step: Step) -> None:
        """snapshot/NAME/CHK.xml -> the checkpoint store, linked from checkpoint/NAME."""
        wrong = self._names(Kind.SNAPSHOT, step.subdir)
        self._expect(wrong, step)
        store = self._store(step)
        text = self.layout.link_text(Kind.CHECKPOINT, step.uuid, step.store_entry)
        keep = self._temp_keep(step)
        fs.unlink(store, keep)
        fs.link(wrong, step.entry, store, keep)
        kept = fs.look(store, keep)
        if kept is None or not kept.same_inode(step.expect):
            fs.unlink(store, keep)
            raise Changed(step.path(self.layout))
        if kept.same_inode(fs.look(store, step.store_entry)):
            fs.unlink(store, keep)  # rename(2) of two links to one inode removes neither
        else:
            fs.rename(store, keep, store, step.store_entry)
        names = self._checkpoint_names(step)
        try:
            fs.symlink(text, names, step.entry)
        except FileExistsError:
            there = fs.look(names, step.entry)
            if there is None or there.text != text:
                raise Changed(step.path(self.layout)) from None
        fs.trace("refile: linked")
        self._expect(wrong, step)
        fs.unlink(wrong, step.entry)

    def _checkpoint_names(self, step: Step) -> int:
        """checkpoint/NAME, made as libvirt makes it: by root, mode 0777 less the umask."""
        parent = self.dirs.names(Kind.CHECKPOINT)
        if parent is None:
            raise Changed(self.layout.names[Kind.CHECKPOINT].path)
        if fs.make_directory(parent, step.subdir, 0o755, os.getegid()):
            self._touch(self.layout.names[Kind.CHECKPOINT])
        return self._names(Kind.CHECKPOINT, step.subdir)

    def _prune(self, step: Step) -> None:
        top = self.dirs.store(step.kind)
        if top is None:
            return
        fd = self._subs.pop((step.kind, True, step.uuid), None)
        if fd is not None:
            os.close(fd)
        if fs.remove_directory(top, step.uuid):
            self._touch(self.layout.stores[step.kind])

    # -- small things --------------------------------------------------------------------

    def _expect(self, directory: int, step: Step) -> None:
        """Compare what lies at the name with what the plan was made for."""
        there = fs.look(directory, step.entry)
        if there is None or not there.same_inode(step.expect):
            raise Changed(step.path(self.layout))

    def _temp_link(self, step: Step) -> str:
        return LINK_TEMP if step.kind.is_metadata else step.uuid + LINK_TEMP

    def _temp_keep(self, step: Step) -> str:
        return KEEP_TEMP if step.kind.is_metadata else step.uuid + KEEP_TEMP


def _now() -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime())


def remove_stores(dirs: Dirs) -> list[str]:
    """After a revert of everything: remove our directories, as far as they are empty.

    Returns the paths that stay because something is in them.
    """
    kept = []
    for kind in Kind:
        place = dirs.layout.stores[kind]
        fd = dirs.store(kind)
        if fd is None:
            continue
        for name in (STORE, TRASH):
            fs.remove_directory(fd, name)
        kept += [f"{place.path}/{name}" for name in sorted(os.listdir(fd))]
    dirs.forget()
    for kind in Kind:
        place = dirs.layout.stores[kind]
        levels = 2 if kind.is_metadata else 1
        for level in range(len(place.below) - 1, len(place.below) - 1 - levels, -1):
            _remove(Place(place.base, place.below[:level]), place.below[level])
    return kept


def _remove(above: Place, name: str) -> None:
    try:
        fd = fs.open_place(above)
    except FileNotFoundError:
        return
    try:
        if fs.remove_directory(fd, name):
            fs.sync_directory(fd)
    finally:
        os.close(fd)
