"""Takes names away from libvirt's directories, and gives back what was taken by mistake.

Between a look and a step libvirt may write. So nothing is removed or replaced by name alone: the
name's entry is exchanged or renamed into a directory of ours, and what came off is compared with
what was expected. Anything else goes back, never over something newer, and what cannot go back is
kept in the store, where the caller or the next run puts it into the trash.
"""

from uuidfs.files import change
from uuidfs.files.change import NoExchangeError
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry

TRIES = 64  # exchanges; libvirt would have to save once between any two of them


def take_off(names: Directory, entry: str, expect: Entry, store: Directory, held: str) -> bool:
    """Take a name away: it is renamed to ``held`` in the store, where the caller removes it.

    False when something else was there: that is at the name again, or, where libvirt has written
    the name since, at ``held``. Raises FileNotFoundError when nothing was there, OSError. In the
    false case the name is missing for two system calls.
    """
    change.unlink(store, held)
    change.rename_new(names, entry, store, held)
    change.trace("take: taken")
    got = store.look(held)
    if got is not None and got.same_inode(expect):
        return True
    try:
        change.rename_new(store, held, names, entry)
    except FileExistsError:
        pass  # newer than what came off
    return False


def give_back(names: Directory, entry: str, store: Directory, held: str, placed: Entry) -> None:
    """Exchange ``held`` in the store with the name, where ``placed`` was put by us.

    What comes off has to be ``placed``. Anything else is what libvirt wrote in the meantime, newer
    than what was just given back: it goes back in its turn, and so on. In the end ``held`` is
    ``placed``, or the version that libvirt replaced, for the caller to keep. Where libvirt removed
    the name, nothing goes back. Raises OSError.
    """
    given = store.look(held)
    for _ in range(TRIES):
        try:
            change.exchange(store, held, names, entry)
        except FileNotFoundError:
            return  # libvirt removed the name
        change.trace("give back: exchanged")
        off = store.look(held)
        if off is None or given is None or off.same_inode(placed):
            return
        placed, given = given, off


def replace(names: Directory, entry: str, expect: Entry, store: Directory, ours: str) -> bool:
    """Exchange ``ours`` in the store with the name; what came off is ``ours`` then.

    False when that is not what was expected: then it was given back. Raises FileNotFoundError
    when nothing is at the name, OSError. Where the file system has no exchange, the name is looked
    at once more and renamed over; what libvirt writes in between is lost.
    """
    placed = store.look(ours)
    try:
        change.exchange(store, ours, names, entry)
    except NoExchangeError:
        there = names.look(entry)
        if there is None or not there.same_inode(expect):
            return False
        change.rename(store, ours, names, entry)
        return True
    change.trace("replace: exchanged")
    off = store.look(ours)
    if off is not None and off.same_inode(expect):
        return True
    if placed is not None:
        give_back(names, entry, store, ours, placed)
    return False
