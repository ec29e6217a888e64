"""The folding protocol: a name's file goes to the store and a link takes its place, and back.

docs/design.md draws it. In short: the store's name first holds a *placeholder*, a symlink
that says what the name's link is to say; then one renameat2(RENAME_EXCHANGE) swaps it with
libvirt's file. At that instant the name becomes a link to the very file it was, and whatever
libvirt wrote last is what the store has. There is no moment in which the name is missing,
torn or older than before, and no kill leaves more than a placeholder.

The three functions are the steps FOLD, REFOLD and UNFOLD. They raise what
:meth:`uuidfs.apply.applier.Applier.run` turns into errors, and leave the name as it was then.
"""

from collections.abc import Callable

from uuidfs.apply.open_dirs import OpenDirs, temp_keep, temp_link
from uuidfs.errors import Changed, UuidfsError
from uuidfs.files import change
from uuidfs.files.change import NoExchangeError
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry, is_whole_second
from uuidfs.layout.places import STORE, Kind
from uuidfs.plan.steps import Step
from uuidfs.survey.identity import MAX_BYTES, read_expat

Keep = Callable[[Step, Directory, str], None]
"""Puts a version that came off a name, and now lies in the store, into the trash."""


class _Job:
    """One step with its directories; ``text`` is what the name's link says."""

    def __init__(self, dirs: OpenDirs, keep: Keep, step: Step) -> None:
        self.dirs = dirs
        self.keep = keep
        self.step = step
        self.names = dirs.names(step.kind, step.subdir, step.inside)
        self.store = dirs.store(step)
        self.text = dirs.layout.link_text(step.kind, step.uuid, step.store_entry)

    def changed(self) -> Changed:
        """The name is not what the step expects."""
        return Changed(self.step.path(self.dirs.layout))


def fold(dirs: OpenDirs, keep: Keep, step: Step) -> None:
    """First fold: placeholder at the store's name, then the swap."""
    job = _Job(dirs, keep, step)
    # What lies at the name is looked at after the swap, when nobody can change it any more.
    try:
        change.symlink(job.text, job.store, step.store_entry)
    except FileExistsError:
        there = job.store.look(step.store_entry)
        if there is None or there.text != job.text:
            raise Changed(step.uuid_path(dirs.layout)) from None
    change.trace("fold: placeholder made")
    _swap(job)


def refold(dirs: OpenDirs, keep: Keep, step: Step) -> None:
    """The store has an older version: the newer one replaces it under both names."""
    job = _Job(dirs, keep, step)
    dirs.expect(job.names, step)
    if step.kind.is_metadata:
        _refold_by_link(job)
        return
    with dirs.inner(job.store, STORE) as room:
        _refold_in_room(job, room)


def _refold_in_room(job: _Job, room: Directory) -> None:
    """Configs and logs. The waiting room makes the placeholder resolve while it is still in
    the store: its text by-uuid/UUID.xml, read from inside by-uuid, is the waiting room's
    file. Without it, a reader that was between the link and its target since before
    libvirt's own rename, and a reader of the UUID path, would find nothing for a moment.
    """
    step, names, store = job.step, job.names, job.store
    try:
        change.unlink(room, step.store_entry)
        change.link(names, step.entry, room, step.store_entry)
        waiting = room.look(step.store_entry)
        if not _is_expected(job, room, step.store_entry, waiting):
            # Not the file that was looked at: it may even be another domain's.
            change.unlink(room, step.store_entry)
            raise job.changed()
        change.trace("refold: waiting")
        temp = temp_link(step)
        change.unlink(store, temp)
        change.symlink(job.text, store, temp)
        change.rename(store, temp, store, step.store_entry)
        change.trace("refold: placeholder made")
        _swap(job)
        change.unlink(room, step.store_entry)
    except OSError:
        there = names.look(step.entry)
        if there is not None and there.same_inode(step.expect):
            change.unlink(room, step.store_entry)  # the name still has it
        raise


def _refold_by_link(job: _Job) -> None:
    """Snapshots and checkpoints. Name and store are equally deep, so a placeholder would
    lead to itself: the store gets the newer file first, by a hard link, and a finished
    link is swapped in. Every name opens at every instant; when libvirt writes once more
    between the last look and the swap, that version is seen after the last rename here.
    """
    step, names, store = job.step, job.names, job.store
    temp = temp_link(step)
    try:
        _adopt(job)
        change.trace("refold: adopted")
        change.unlink(store, temp)
        change.symlink(job.text, store, temp)
        change.exchange(store, temp, names, step.entry)
    except NoExchangeError:
        job.dirs.expect(names, step)
        change.rename(store, temp, names, step.entry)
        return
    except FileNotFoundError:
        _withdraw(job)
        raise job.changed() from None
    except (OSError, UuidfsError):
        _withdraw(job)
        raise
    change.trace("refold: swapped")
    displaced = store.look(temp)
    if displaced is None or displaced.same_inode(step.expect):
        change.unlink(store, temp)
    elif displaced.is_file and _same_owner(job, displaced, temp):
        change.rename(store, temp, store, step.store_entry)
    else:
        _give_back(job, temp)
        raise job.changed()


def _give_back(job: _Job, held: str) -> None:
    """What the swap took off is not what it is for: it goes back, and nothing newer is lost."""
    step = job.step
    placed = job.names.look(step.entry)
    if placed is not None and placed.text == job.text:
        from uuidfs.apply.take import give_back  # rare, and the hook has no time

        give_back(job.names, step.entry, job.store, held, placed)
    left = job.store.look(held)
    if left is not None and left.text is None:
        job.keep(step, job.store, held)
    _withdraw(job)


def _adopt(job: _Job) -> None:
    """Give the name's file its name in the store as well, in place of an older version."""
    step, store = job.step, job.store
    if (there := store.look(step.store_entry)) and there.same_inode(step.expect):
        return  # rename(2) of two links to one inode would leave both
    keep = temp_keep(step)
    change.unlink(store, keep)
    change.link(job.names, step.entry, store, keep)
    kept = store.look(keep)
    if not _is_expected(job, store, keep, kept):
        raise job.changed()
    change.rename(store, keep, store, step.store_entry)


def _swap(job: _Job) -> None:
    """Exchange the placeholder with the name's file, whichever that is by now."""
    step, store = job.step, job.store
    try:
        change.exchange(store, step.store_entry, job.names, step.entry)
    except NoExchangeError:
        _swap_without_exchange(job)
        return
    except FileNotFoundError:
        # libvirt removed the name: there is nothing to fold, and nothing comes back.
        _withdraw(job)
        raise job.changed() from None
    except OSError:
        _withdraw(job)
        raise
    change.trace("fold: swapped")
    got = store.look(step.store_entry)
    if not _is_expected(job, store, step.store_entry, got):
        _check_newer(job, got)


def _is_expected(job: _Job, directory: Directory, entry: str, got: Entry | None) -> bool:
    """Whether what now lies at ``entry``, in a directory of ours, is the file that was looked at.

    libvirt may have removed that one since, and a new domain's file may have its inode's number:
    then it was written later. libvirt never writes into a document, but virtlogd does into a log.
    """
    expect = job.step.expect
    if got is None or not got.same_inode(expect):
        return False
    if job.step.kind is Kind.LOG or expect is None:
        return True
    # Later may be in the same second.
    return got.mtime == expect.mtime and (
        not is_whole_second(got.mtime) or _is_its(job, directory, entry)
    )


def _is_its(job: _Job, directory: Directory, entry: str) -> bool:
    """Whether a document is of the step's domain, or tells none."""
    data = directory.read(entry, MAX_BYTES)
    identity = read_expat(data) if data is not None else "it is gone"
    return not isinstance(identity, str) and identity.uuid in {job.step.uuid, None}


def _check_newer(job: _Job, got: Entry | None) -> None:
    """libvirt wrote between look and swap. Its own next version is what we want; any
    other file (the name was given to another domain meanwhile) goes back at once."""
    step = job.step
    if got is not None and got.is_file and _same_owner(job, got, step.store_entry):
        return
    _give_back(job, step.store_entry)
    raise job.changed()


def _same_owner(job: _Job, got: Entry, entry: str) -> bool:
    step = job.step
    if step.kind is Kind.LOG:
        return False  # a log is never rewritten: another file is another rotation
    return got.uid in job.dirs.dirs.trusted and _is_its(job, job.store, entry)


def _swap_without_exchange(job: _Job) -> None:
    """The fallback: hard link into the store, look once more, rename the link over the name.

    Between the last look and the rename libvirt could put a newer version at the name,
    which the rename would then remove. Without RENAME_EXCHANGE that gap of some
    microseconds cannot be closed, only kept as short as this.
    """
    step, store = job.step, job.store
    temp = temp_link(step)
    try:
        _adopt(job)
        change.unlink(store, temp)
        change.symlink(job.text, store, temp)
        change.trace("fold: before the rename of the fallback")
        job.dirs.expect(job.names, step)
        change.rename(store, temp, job.names, step.entry)
    except FileNotFoundError:
        _withdraw(job)
        raise job.changed() from None
    except (OSError, UuidfsError):
        _withdraw(job)
        raise


def _withdraw(job: _Job) -> None:
    """Take back what a fold that did not happen has made; the name was never touched."""
    step, store = job.step, job.store
    for entry in (temp_link(step), temp_keep(step)):
        change.unlink(store, entry)
    there = store.look(step.store_entry)
    if there is not None and (there.text is not None or there.same_inode(step.expect)):
        change.unlink(store, step.store_entry)


def unfold(dirs: OpenDirs, keep: Keep, step: Step) -> None:
    """The way back: swap the link with a second name of the file, then remove the first.

    The store's own name stays until it is known what came off. When that is what libvirt wrote
    meanwhile, and a kill comes before it is given back, the older version at the name and the one
    in the store are one file, and nobody takes it for the newer one.
    """
    job = _Job(dirs, keep, step)
    names, store, held = job.names, job.store, temp_link(step)
    dirs.expect(names, step)
    got = store.look(step.store_entry)
    if got is None or not got.is_file:
        raise Changed(step.uuid_path(dirs.layout))
    change.unlink(store, held)
    change.link(store, step.store_entry, store, held)
    change.trace("unfold: second name made")
    try:
        change.exchange(store, held, names, step.entry)
    except NoExchangeError:
        change.rename(store, held, names, step.entry)
    except FileNotFoundError:
        change.unlink(store, held)
        raise job.changed() from None
    change.trace("unfold: swapped")
    displaced = store.look(held)
    if displaced is not None and not displaced.same_inode(step.expect):
        from uuidfs.apply.take import give_back

        # libvirt wrote the name meanwhile: that is newer, it goes back.
        give_back(names, step.entry, store, held, got)
        left = store.look(held)
        if left is not None and left.is_file and not left.same_inode(got):
            keep(step, store, held)
        else:
            change.unlink(store, held)
        raise job.changed()
    change.unlink(store, held)
    change.unlink(store, step.store_entry)
