"""Does one step of a plan. The directories belong to QEMU's user: what came off is compared."""

from uuidfs.errors import Changed
from uuidfs.files import change
from uuidfs.files.directory import existing
from uuidfs.firmware import kept
from uuidfs.firmware.apply_files import link_as, take_name
from uuidfs.firmware.names import Firmware
from uuidfs.firmware.plan import Op, Step
from uuidfs.firmware.redefine import Change, redefine, redefine_metadata, runs_with
from uuidfs.layout.places import Layout
from uuidfs.runtime.domain_locks import Locks


def apply_step(layout: Layout, uuid: str, step: Step, locks: Locks) -> str | None:
    """Do it; returns why it was not done, where that is no error.

    Raises Changed when the files are not what the plan saw, OSError, UuidfsError. After each step
    the domain has its file under every path that a document of its own still names. The lock is
    held for the files only: while libvirt is asked, it may be waiting for the hook, which waits
    for the lock.
    """
    if step.op is Op.DEFINE:
        if not redefine(layout, uuid, Change(step.path, step.own_path, step.implied)):
            raise Changed(step.path)
        redefine_metadata(layout, uuid, _everywhere(step))  # what stays, keeps the former name
        return None
    if step.op is Op.REMOVE and (why := _needed(layout, uuid, step)) is not None:
        return why
    with locks.hold(uuid), existing(step.place) as directory:
        if step.op is Op.LINK:
            link_as(directory, step.entry, step.own, step.found)
        elif step.op is Op.BRING:
            try:
                kept.give(layout, uuid, step.kind, directory, step.own)
            except FileExistsError as error:
                raise Changed(directory.at(step.own)) from error
        else:
            own = directory.look(step.own)
            if step.found is None or own is None or not own.same_inode(step.found):
                raise Changed(directory.at(step.own))  # it would be the file's last name
            take_name(layout, uuid, directory, step.entry, step.found)
        change.sync_directory(directory)
    return None


def _everywhere(step: Step) -> Change:
    """A snapshot whose definition names no path would get one of the name at its revert."""
    return Change(step.path, step.own_path, step.kind is Firmware.NVRAM)


def _needed(layout: Layout, uuid: str, step: Step) -> str | None:
    """Whether a snapshot that libvirt did not redefine needs the former name (it would start with
    empty variables), or a process that was started meanwhile."""
    needed = redefine_metadata(layout, uuid, _everywhere(step))
    stays = f"{step.place.path}/{step.entry} stays"
    if needed:
        return f"{stays}: {'; '.join(needed)}"
    return f"{stays} until the domain is off" if runs_with(layout, uuid, step.path) else None
