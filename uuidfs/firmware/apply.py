"""Does one step of a plan. The directories belong to QEMU's user: what came off is compared."""

from uuidfs.apply.take import take_off
from uuidfs.errors import Changed
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.firmware import kept
from uuidfs.firmware.paths import Firmware
from uuidfs.firmware.plan import Op, Step
from uuidfs.firmware.redefine import Change, is_off, redefine, redefine_metadata
from uuidfs.layout.places import Layout

_HELD = "~gone"


def apply_step(layout: Layout, uuid: str, step: Step, directory: Directory) -> str | None:
    """Do it; returns why it was not done, where that is no error.

    ``directory`` is the open directory of ``step.place``. Raises Changed when the files are not
    what the plan saw, OSError, UuidfsError. Each step leaves the domain with its file under every
    path that a document of its own still names.
    """
    if step.op is Op.LINK:
        _link(step, directory)
    elif step.op is Op.BRING:
        try:
            kept.give(layout, uuid, step.kind, directory, step.own)
        except FileExistsError as error:
            raise Changed(directory.at(step.own)) from error
    elif step.op is Op.DEFINE:
        wanted = Change(step.path, step.own_path, step.implied)
        if not redefine(layout, uuid, wanted):
            raise Changed(step.path)
        redefine_metadata(layout, uuid, _everywhere(step))  # what stays, keeps the former name
        return None
    else:
        return _remove(layout, uuid, step, directory)
    change.sync_directory(directory)
    return None


def _everywhere(step: Step) -> Change:
    """A snapshot whose definition names no path would get one of the name at its revert."""
    return Change(step.path, step.own_path, step.kind is Firmware.NVRAM)


def _link(step: Step, directory: Directory) -> None:
    try:
        change.link(directory, step.entry, directory, step.own)
    except (FileExistsError, FileNotFoundError) as error:
        raise Changed(directory.at(step.entry)) from error
    made = directory.look(step.own)
    if step.found is None or made is None or not step.found.same_inode(made):
        # QEMU's user has put another file there; what was linked is one of that user's.
        change.unlink(directory, step.own)
        raise Changed(directory.at(step.entry))


def _remove(layout: Layout, uuid: str, step: Step, directory: Directory) -> str | None:
    """Take a former name away, unless anything needs it: a snapshot that libvirt did not redefine
    (it would start with empty variables), or a process that was started meanwhile."""
    needed = redefine_metadata(layout, uuid, _everywhere(step))
    if needed:
        return f"{directory.at(step.entry)} stays: {'; '.join(needed)}"
    if not is_off(layout, uuid):
        return f"{directory.at(step.entry)} stays until the domain is off"
    own = directory.look(step.own)
    if step.found is None or own is None or not own.same_inode(step.found):
        raise Changed(directory.at(step.own))  # it would be the file's last name
    with kept.made(layout, uuid) as room:
        try:
            gone = take_off(directory, step.entry, step.found, room, _HELD)
        except FileNotFoundError:
            return None
        if not gone:
            raise Changed(directory.at(step.entry))
        change.unlink(room, _HELD)
    kept.tidy(layout, uuid)
    change.sync_directory(directory)
    return None
