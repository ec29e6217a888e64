"""A domain's mark for one autostart: autostart/NAME.xml.once, from libvirt 11.2 on.

libvirt (11.3 and 12.8) leaves it behind in a rename, and who takes the old name is started. The
mark says a name only. So the store notes it while the name is the domain's, by a hard link to the
mark itself: as long as that is there, no other file can have its inode.
"""

from uuidfs.errors import UuidfsError
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import NOBODY, ONCE, ONCE_MARK, marked_once
from uuidfs.layout.places import AUTOSTART, Kind
from uuidfs.survey.scan import Scan
from uuidfs.survey.view import Once


def marked_names(dirs: TrustedDirs, names: Directory) -> set[str] | None:
    """The names that have a mark; None where that cannot be told: then nothing is done about any.

    Whatever else is in that directory is libvirt's.
    """
    try:
        autostart = names.child(AUTOSTART)
        if autostart is None:
            return set()
        with autostart:
            if autostart.status().st_uid not in dirs.trusted:
                return None
            entries = [entry for entry in autostart.list() if entry.endswith(ONCE)]
            marks = (marked_once(entry, autostart.link_text(entry)) for entry in entries)
            return {name for name in marks if name is not None}
    except UuidfsError:
        return None


def view_once(dirs: TrustedDirs, scan: Scan, uuid: str, name: str | None) -> Once | None:
    """Look at one UUID's mark. None when it has none, or something could not be read.

    Raises SystemCallFailed or Refused.
    """
    if scan.once is None or scan.incomplete or scan.leaves_out(Kind.CONFIG):
        return None
    if name is not None and scan.source_of[name] != "config":
        return None  # transient: libvirt has removed its mark, and only the note is left
    if uuid not in scan.once_notes and name not in scan.once and uuid != NOBODY:
        return None
    names, store = dirs.names(Kind.CONFIG), dirs.store(Kind.CONFIG)
    autostart = names.child(AUTOSTART) if names is not None else None
    if names is None or autostart is None:
        return Once(note=store.look(uuid + ONCE_MARK) if store is not None else None)
    with autostart:
        if autostart.status().st_uid not in dirs.trusted:
            return None
        if uuid == NOBODY:
            return Once(dangling=_dangling(scan, names, autostart))
        entry = name + ONCE if name is not None else ""
        at_name = _mark(autostart, entry) if entry else None
        foreign = at_name is not None and _is_foreign(scan, store, uuid, at_name)
        note = store.look(uuid + ONCE_MARK) if store is not None else None
        former = (note.text or "").rpartition("/")[2] + ".once" if note is not None else ""
        return Once(
            entry,
            None if foreign else at_name,
            note,
            former,
            _mark(autostart, former) if former.endswith(ONCE) else None,
            foreign,
        )


def _mark(autostart: Directory, entry: str) -> Entry | None:
    found = autostart.look(entry)
    return found if found is not None and marked_once(entry, found.text) is not None else None


def _is_foreign(scan: Scan, store: Directory | None, uuid: str, at_name: Entry) -> bool:
    """Whether another UUID's note says that the mark is that one's, from a former name."""
    if store is None or at_name.nlink < 2:
        return False
    others = (store.look(other + ONCE_MARK) for other in scan.once_notes if other != uuid)
    return any(at_name.same_inode(other) for other in others)


def _dangling(scan: Scan, names: Directory, autostart: Directory) -> tuple[tuple[str, Entry], ...]:
    """A mark is made after the config. One that a note claims is left to that UUID's plan."""
    found = []
    for name in sorted((scan.once or set()) - scan.uuid_of.keys()):
        mark = _mark(autostart, name + ONCE)
        if mark is not None and mark.nlink < 2 and names.look(f"{name}.xml") is None:
            found.append((name + ONCE, mark))
    return tuple(found)
