"""The trash while a domain comes back: a mark says what is under way, and what is back leaves."""

from uuidfs.errors import SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.firmware.kept import made
from uuidfs.layout.names import MOVED_MARK, TAKEN, UNDELETE_MARK
from uuidfs.layout.places import Kind, Layout
from uuidfs.survey.scan import Scan
from uuidfs.trash.entries import TrashEntry, drop_label, opened_label, path_of
from uuidfs.undelete.candidates import Candidate


def mark(layout: Layout, candidate: Candidate) -> None:
    """Note which definition is about to come back, durably. Raises UuidfsError."""
    entry = candidate.config.entry
    label = entry.label if entry is not None else ""
    place = layout.kept.child(candidate.uuid)
    try:
        with made(layout, candidate.uuid) as directory:
            if directory.link_text(UNDELETE_MARK) != label:
                change.unlink(directory, UNDELETE_MARK)
                change.symlink(label, directory, UNDELETE_MARK)
            change.sync_directory(directory)
        for above in (layout.kept, layout.state):
            directory_above = opened(above)
            if directory_above is not None:
                with directory_above:
                    change.sync_directory(directory_above)
    except OSError as error:
        raise SystemCallFailed("mark", place.path, error) from error


def keep_log(layout: Layout, scan: Scan, uuid: str) -> None:
    """Where another domain has taken the log's name, say so: else a conversion takes a log without
    a name for one that libvirt deleted. Raises UuidfsError."""
    if uuid not in scan.log_store or scan.logs_of_uuid.get(uuid):
        return
    with TrustedDirs(layout) as dirs:
        store = dirs.store(Kind.LOG)
        if store is None:
            return
        try:
            change.symlink(TAKEN, store, uuid + MOVED_MARK)
            change.sync_directory(store)
        except FileExistsError:
            pass
        except OSError as error:
            raise SystemCallFailed("mark", store.at(uuid + MOVED_MARK), error) from error


def unmark(layout: Layout, uuid: str) -> None:
    """It is back, or not begun. Raises UuidfsError."""
    kept = opened(layout.kept)
    if kept is None:
        return
    with kept:
        directory = kept.child(uuid)
        if directory is None:
            return
        try:
            with directory:
                change.unlink(directory, UNDELETE_MARK)
            change.remove_directory(kept, uuid)
        except OSError as error:
            raise SystemCallFailed("remove the mark in", directory.path, error) from error


def remove(layout: Layout, entry: TrashEntry) -> None:
    """Take something out of the trash that libvirt has by now. Raises UuidfsError."""
    path = path_of(layout, entry)
    with TrustedDirs(layout) as dirs:
        try:
            with opened_label(dirs, entry.kind, entry.label) as directory:
                if directory is None:
                    return
                change.unlink(directory, entry.file)
                change.sync_directory(directory)
            drop_label(dirs, entry.kind, entry.label)
        except OSError as error:
            raise SystemCallFailed("remove", path, error) from error
