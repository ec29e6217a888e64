"""Gives a firmware's file a name, or takes one away. The hook loads this.

The directories belong to QEMU's user: what came off is compared.
"""

from uuidfs.apply.take import take_off
from uuidfs.errors import Changed
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.firmware import kept
from uuidfs.layout.places import Layout


def link_as(directory: Directory, entry: str, new: str, found: Entry | None) -> None:
    """Give ``found``, which lies at ``entry``, a second name. Raises Changed, OSError."""
    try:
        change.link(directory, entry, directory, new)
    except (FileExistsError, FileNotFoundError) as error:
        raise Changed(directory.at(entry)) from error
    made = directory.look(new)
    if found is None or made is None or not found.same_inode(made):
        # QEMU's user has put another file there; what was linked is one of that user's.
        change.unlink(directory, new)
        raise Changed(directory.at(entry))


def take_name(layout: Layout, uuid: str, directory: Directory, entry: str, found: Entry) -> None:
    """Take one of several names of ``found`` away. Raises Changed, OSError, UuidfsError."""
    with kept.made(layout, uuid) as room:
        try:
            gone = take_off(directory, entry, found, room, kept.GONE)
        except FileNotFoundError:
            gone = True  # somebody else did it
        if gone:
            change.unlink(room, kept.GONE)
    kept.tidy(layout, uuid)
    if not gone:
        raise Changed(directory.at(entry))
