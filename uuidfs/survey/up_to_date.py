"""Tells quickly that a domain needs nothing, from the scan and two listings a kind."""

import os

from uuidfs.errors import UuidfsError
from uuidfs.files.directory import Directory
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import DIRECTORY_MARK, log_entry
from uuidfs.layout.places import STORE, Kind
from uuidfs.survey.scan import Scan


def is_up_to_date(dirs: TrustedDirs, scan: Scan, uuid: str) -> bool:
    """Tell quickly that nothing is to be done for a bound UUID: then no view is needed.

    True only where :func:`uuidfs.plan.convert.plan_convert` would plan nothing (a property test
    holds that); False promises nothing.
    """
    names = scan.names_of.get(uuid, ())
    if len(names) != 1 or uuid in scan.leftovers or uuid in scan.moved or uuid in scan.strays:
        return False
    name = names[0]
    if uuid in scan.once_notes or name in (scan.once or ()):
        return False  # few domains have such a mark, and none for long
    if scan.source_of[name] == "config":
        if scan.configs.get(f"{name}.xml") is None or f"{uuid}.xml" not in scan.config_store:
            return False
    elif f"{uuid}.xml" in scan.config_store:
        return False
    return _logs(scan, name, uuid) and all(
        _metadata(dirs, scan, kind, name, uuid)
        for kind in scan.meta_names
        if not scan.leaves_out(kind)  # as the view does
    )


def _logs(scan: Scan, name: str, uuid: str) -> bool:
    logs = scan.logs_of_name.get(name, ())
    stored = scan.log_store.get(uuid, ())
    texts = scan.logs
    for suffix, entry in logs:
        if texts[entry] != f"{STORE}/{log_entry(uuid, suffix)}" or (
            suffix and suffix not in stored
        ):
            return False
    return len(stored) <= len(logs) and len(scan.logs_of_uuid.get(uuid, ())) == len(logs)


def _metadata(dirs: TrustedDirs, scan: Scan, kind: Kind, name: str, uuid: str) -> bool:
    here = name in scan.meta_names[kind]
    names, store = dirs.names(kind), dirs.store(kind)
    if uuid not in scan.meta_store[kind]:
        return not here or not _list(names, name)
    if not here or names is None or store is None:
        return False
    prefix = dirs.layout.link_prefix(kind, uuid)
    try:
        directory = names.child(name)
        if directory is None:
            return False
        with directory:
            entries = directory.list()
            readlink, fd = os.readlink, directory.fd  # a thousand domains: every call counts
            for entry in entries:
                if readlink(entry, dir_fd=fd) != prefix + entry:
                    return False
            inode = directory.inode
    except (OSError, UuidfsError):
        return False
    kept, recorded = _stored(store, uuid)
    # An empty directory in the store is to be removed.
    return (
        bool(kept)
        and recorded == str(inode)
        and store.link_text(DIRECTORY_MARK) == str(names.inode)
        and len(kept) == len(entries)
        and set(kept) == set(entries)
    )


def _stored(store: Directory, uuid: str) -> tuple[list[str], str | None]:
    """What is in the UUID's directory, and what it says of the one at the name."""
    try:
        directory = store.child(uuid)
        if directory is None:
            return [], None
        with directory:
            kept = directory.list()
            kept.remove(DIRECTORY_MARK)
            return kept, directory.link_text(DIRECTORY_MARK)
    except (ValueError, UuidfsError):
        return [], None


def _list(parent: Directory | None, name: str) -> list[str]:
    if parent is None:
        return []
    try:
        directory = parent.child(name)
        if directory is None:
            return []
        with directory:
            return directory.list()
    except UuidfsError:
        return []
