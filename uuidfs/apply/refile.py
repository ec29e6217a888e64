"""A checkpoint that libvirt's rename wrote into the snapshots' directory goes where it belongs."""

from uuidfs.apply.open_dirs import OpenDirs, temp_keep, temp_link
from uuidfs.apply.take import take_off
from uuidfs.apply.trashing import Trashing
from uuidfs.errors import Changed
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.layout.places import Kind
from uuidfs.layout.trash_label import Reason
from uuidfs.plan.steps import Step


def refile(open_dirs: OpenDirs, trashing: Trashing, step: Step) -> None:
    """snapshot/NAME/CHK.xml -> the checkpoint store, linked from checkpoint/NAME.

    Raises as :meth:`uuidfs.apply.applier.Applier.run` says.
    """
    layout = open_dirs.layout
    wrong = open_dirs.names(Kind.SNAPSHOT, step.subdir, step.inside)
    open_dirs.expect(wrong, step)
    store = open_dirs.store(step)
    text = layout.link_text(Kind.CHECKPOINT, step.uuid, step.store_entry)
    names = open_dirs.names_made(Kind.CHECKPOINT, step.subdir)
    there = names.look(step.entry)
    kept = store.look(step.store_entry)
    if step.expect is not None and step.expect.text == text:
        # Ours: the directories of the kinds were exchanged when it was made.
        if there is None and kept is not None and kept.is_file:
            change.symlink(text, names, step.entry)
        _take_off(open_dirs, trashing, step, wrong)
        return
    if there is not None and not (
        there.text == text and kept is not None and kept.same_inode(step.expect)
    ):
        # The checkpoint was redefined since: libvirt wrote that one last.
        trashing.retire(Kind.SNAPSHOT, step.uuid, wrong, step.entry, Reason.SUPERSEDED, step.expect)
        return
    keep = temp_keep(step)
    change.unlink(store, keep)
    change.link(wrong, step.entry, store, keep)
    kept = store.look(keep)
    if kept is None or not kept.same_inode(step.expect):
        change.unlink(store, keep)
        raise Changed(step.path(layout))
    if kept.same_inode(store.look(step.store_entry)):
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
        there = names.look(step.entry)
        if there is None or there.text != text:
            raise Changed(step.path(layout)) from None
    change.trace("refile: linked")
    _take_off(open_dirs, trashing, step, wrong)


def _take_off(open_dirs: OpenDirs, trashing: Trashing, step: Step, wrong: Directory) -> None:
    """The last step: the name among the snapshots goes."""
    layout, store = open_dirs.layout, open_dirs.store(step)
    there = wrong.look(step.entry)
    held = temp_link(step)
    if there is None or not there.same_inode(step.expect):
        raise Changed(step.path(layout))
    if not take_off(wrong, step.entry, there, store, held):
        if store.look(held) is not None:  # libvirt has written the name since
            trashing.keep(step, store, held)
        raise Changed(step.path(layout))
    change.unlink(store, held)
