"""Runs the steps about marks for one autostart (:mod:`uuidfs.plan.once`)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from uuidfs.apply.open_dirs import OpenDirs, temp_link
from uuidfs.errors import Changed, Refused
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.layout.names import marked_once
from uuidfs.layout.places import AUTOSTART, Kind
from uuidfs.plan.steps import Step


def give(open_dirs: OpenDirs, step: Step) -> None:
    """Make the mark under the domain's name; one that libvirt has made since is as good."""
    with _autostart(open_dirs, step) as (autostart, entry):
        try:
            change.symlink(step.also, autostart, entry)
        except FileExistsError:
            if marked_once(entry, autostart.link_text(entry)) is None:
                raise Changed(autostart.at(entry)) from None
    change.trace("once: given")


def drop(open_dirs: OpenDirs, put_away: Callable[[Step, Directory, str], None], step: Step) -> None:
    """Take the mark away from a name; another one that is there by now stays. Raises Changed."""
    from uuidfs.apply.take import take_off

    store, held = open_dirs.store(step), temp_link(step)
    with _autostart(open_dirs, step) as (autostart, entry):
        there = autostart.look(entry)
        if there is None:
            return
        if step.expect is None or not there.same_inode(step.expect):
            raise Changed(autostart.at(entry))
        done = take_off(autostart, entry, there, store, held)
        put_away(step, store, held)
        if not done:
            raise Changed(autostart.at(entry))
    change.trace("once: dropped")


def note(open_dirs: OpenDirs, step: Step) -> None:
    """Make the note a second name of the mark. Raises Changed when that is another one by now."""
    store, temp = open_dirs.store(step), temp_link(step)
    with _autostart(open_dirs, step) as (autostart, entry):
        change.unlink(store, temp)
        change.link(autostart, entry, store, temp)
        held = store.look(temp)
        other = step.expect is not None and not (held is not None and held.same_inode(step.expect))
        if other or held is None or marked_once(entry, held.text) is None:
            change.unlink(store, temp)
            raise Changed(autostart.at(entry))
        change.rename(store, temp, store, step.store_entry)
        change.unlink(store, temp)  # where both were names of the mark, the rename did nothing
    change.trace("once: noted")


@contextmanager
def _autostart(open_dirs: OpenDirs, step: Step) -> Iterator[tuple[Directory, str]]:
    """libvirt's directory of autostart links, and the name in it."""
    autostart = open_dirs.names(Kind.CONFIG, "").child(AUTOSTART)
    if autostart is None:
        raise Changed(step.path(open_dirs.layout))
    with autostart:
        if autostart.status().st_uid not in open_dirs.dirs.trusted:
            raise Refused(autostart.path, "this directory is not libvirt's")
        open_dirs.touch(autostart.place)
        yield autostart, step.entry.rpartition("/")[2]
