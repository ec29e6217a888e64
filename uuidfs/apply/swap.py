"""The folding protocol: a name's file goes to the store and a link takes its place, and back.

docs/design.md draws it. In short: the store's name first holds a *placeholder*, a symlink
that says what the name's link is to say; then one renameat2(RENAME_EXCHANGE) swaps it with
libvirt's file. At that instant the name becomes a link to the very file it was, and whatever
libvirt wrote last is what the store has. There is no moment in which the name is missing,
torn or older than before, and no kill leaves more than a placeholder.
"""

import os

from uuidfs.apply.open_dirs import OpenDirs, temp_keep, temp_link
from uuidfs.errors import Changed
from uuidfs.files import change
from uuidfs.files.change import NoExchangeError
from uuidfs.files.entry import Entry, look, read_small
from uuidfs.layout.places import STORE, Kind
from uuidfs.plan.steps import Step
from uuidfs.survey.identity import MAX_BYTES, read_expat


class Folder:
    """The steps FOLD, REFOLD and UNFOLD. Raises as :meth:`uuidfs.apply.Applier.run` says."""

    def __init__(self, handles: OpenDirs) -> None:
        self.handles = handles
        self.layout = handles.layout

    def fold(self, step: Step) -> None:
        """First fold: placeholder at the store's name, then the swap."""
        names = self.handles.names(step.kind, step.subdir)
        store = self.handles.store(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        # What lies at the name is looked at after the swap, when nobody can change it any more.
        try:
            change.symlink(text, store, step.store_entry)
        except FileExistsError:
            there = look(store, step.store_entry)
            if there is None or there.text != text:
                raise Changed(step.uuid_path(self.layout)) from None
        change.trace("fold: placeholder made")
        self._swap(step, names, store)

    def refold(self, step: Step) -> None:
        """The store has an older version: the newer one replaces it under both names."""
        names = self.handles.names(step.kind, step.subdir)
        store = self.handles.store(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        self.handles.expect(names, step)
        if step.kind.is_metadata:
            self._refold_by_link(step, names, store, text)
            return
        room = self.handles.inner(store, STORE, self.layout.stores[step.kind])
        try:
            self._refold_in_room(step, names, store, room, text)
        finally:
            os.close(room)

    def _refold_in_room(self, step: Step, names: int, store: int, room: int, text: str) -> None:
        """Configs and logs. The waiting room makes the placeholder resolve while it is still in
        the store: its text by-uuid/UUID.xml, read from inside by-uuid, is the waiting room's
        file. Without it, a reader that was between the link and its target since before
        libvirt's own rename, and a reader of the UUID path, would find nothing for a moment.
        """
        try:
            change.unlink(room, step.store_entry)
            change.link(names, step.entry, room, step.store_entry)
            waiting = look(room, step.store_entry)
            if waiting is None or not waiting.same_inode(step.expect):
                # Not the file that was looked at: it may even be another domain's.
                change.unlink(room, step.store_entry)
                raise Changed(step.path(self.layout))
            change.trace("refold: waiting")
            temp = temp_link(step)
            change.unlink(store, temp)
            change.symlink(text, store, temp)
            change.rename(store, temp, store, step.store_entry)
            change.trace("refold: placeholder made")
            self._swap(step, names, store)
            change.unlink(room, step.store_entry)
        except OSError:
            there = look(names, step.entry)
            if there is not None and there.same_inode(step.expect):
                change.unlink(room, step.store_entry)  # the name still has it
            raise

    def _refold_by_link(self, step: Step, names: int, store: int, text: str) -> None:
        """Snapshots and checkpoints. Name and store are equally deep, so a placeholder would
        lead to itself: the store gets the newer file first, by a hard link, and a finished
        link is swapped in. Every name opens at every instant; when libvirt writes once more
        between the last look and the swap, that version is seen after the last rename here.
        """
        try:
            self._adopt(step, names, store)
            change.trace("refold: adopted")
            temp = temp_link(step)
            change.unlink(store, temp)
            change.symlink(text, store, temp)
            change.exchange(store, temp, names, step.entry)
        except NoExchangeError:
            self.handles.expect(names, step)
            change.rename(store, temp, names, step.entry)
            return
        except FileNotFoundError:
            self._withdraw(step, store)
            raise Changed(step.path(self.layout)) from None
        except (OSError, Changed):
            self._withdraw(step, store)
            raise
        change.trace("refold: swapped")
        displaced = look(store, temp)
        if displaced is None or displaced.same_inode(step.expect):
            change.unlink(store, temp)
        elif displaced.is_file and self._same_owner(step, store, displaced, temp):
            change.rename(store, temp, store, step.store_entry)
        else:
            change.exchange(store, temp, names, step.entry)
            self._withdraw(step, store)
            raise Changed(step.path(self.layout))

    def _adopt(self, step: Step, names: int, store: int) -> None:
        """Give the name's file its name in the store as well, in place of an older version."""
        if (there := look(store, step.store_entry)) and there.same_inode(step.expect):
            return  # rename(2) of two links to one inode would leave both
        keep = temp_keep(step)
        change.unlink(store, keep)
        change.link(names, step.entry, store, keep)
        kept = look(store, keep)
        if kept is None or not kept.same_inode(step.expect):
            raise Changed(step.path(self.layout))
        change.rename(store, keep, store, step.store_entry)

    def _swap(self, step: Step, names: int, store: int) -> None:
        """Exchange the placeholder with the name's file, whichever that is by now."""
        try:
            change.exchange(store, step.store_entry, names, step.entry)
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
        change.trace("fold: swapped")
        got = look(store, step.store_entry)
        if got is None or not got.same_inode(step.expect):
            self._check_newer(step, names, store, got)

    def _check_newer(self, step: Step, names: int, store: int, got: Entry | None) -> None:
        """libvirt wrote between look and swap. Its own next version is what we want; any
        other file (the name was given to another domain meanwhile) goes back at once."""
        if got is not None and got.is_file and self._same_owner(step, store, got, step.store_entry):
            return
        change.exchange(store, step.store_entry, names, step.entry)
        self._withdraw(step, store)
        raise Changed(step.path(self.layout))

    def _same_owner(self, step: Step, store: int, got: Entry, entry: str) -> bool:
        if step.kind is Kind.LOG:
            return False  # a log is never rewritten: another file is another rotation
        if got.uid not in self.handles.dirs.trusted:
            return False
        data = read_small(store, entry, MAX_BYTES, step.path(self.layout))
        identity = read_expat(data)
        return not isinstance(identity, str) and identity.uuid in {step.uuid, None}

    def _swap_without_exchange(self, step: Step, names: int, store: int) -> None:
        """The fallback: hard link into the store, look once more, rename the link over the name.

        Between the last look and the rename libvirt could put a newer version at the name,
        which the rename would then remove. Without RENAME_EXCHANGE that gap of some
        microseconds cannot be closed, only kept as short as this.
        """
        temp = temp_link(step)
        text = self.layout.link_text(step.kind, step.uuid, step.store_entry)
        try:
            self._adopt(step, names, store)
            change.unlink(store, temp)
            change.symlink(text, store, temp)
            change.trace("fold: before the rename of the fallback")
            self.handles.expect(names, step)
            change.rename(store, temp, names, step.entry)
        except FileNotFoundError:
            self._withdraw(step, store)
            raise Changed(step.path(self.layout)) from None
        except (OSError, Changed):
            self._withdraw(step, store)
            raise

    def _withdraw(self, step: Step, store: int) -> None:
        """Take back what a fold that did not happen has made; the name was never touched."""
        for entry in (temp_link(step), temp_keep(step)):
            change.unlink(store, entry)
        there = look(store, step.store_entry)
        if there is not None and (there.text is not None or there.same_inode(step.expect)):
            change.unlink(store, step.store_entry)

    def unfold(self, step: Step) -> None:
        """The way back: swap the link with the file, then remove the link."""
        names = self.handles.names(step.kind, step.subdir)
        store = self.handles.store(step)
        self.handles.expect(names, step)
        got = look(store, step.store_entry)
        if got is None or not got.is_file:
            raise Changed(step.uuid_path(self.layout))
        try:
            change.exchange(store, step.store_entry, names, step.entry)
        except NoExchangeError:
            change.rename(store, step.store_entry, names, step.entry)
            return
        except FileNotFoundError:
            raise Changed(step.path(self.layout)) from None
        change.trace("unfold: swapped")
        displaced = look(store, step.store_entry)
        if displaced is not None and not displaced.same_inode(step.expect):
            # libvirt wrote the name meanwhile: that is newer, it goes back.
            change.exchange(store, step.store_entry, names, step.entry)
            raise Changed(step.path(self.layout))
        change.unlink(store, step.store_entry)
