"""Tells quickly that a domain needs nothing, from the scan and two listings a kind."""

import os

from uuidfs.files.directory import open_below
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import STORE, Kind
from uuidfs.survey.scan import Scan


def is_tidy(dirs: TrustedDirs, scan: Scan, uuid: str) -> bool:
    """Tell quickly that nothing is to be done for a bound UUID: then no view is needed.

    True only where :func:`uuidfs.plan.convert` would plan nothing (a property test
    holds that); False promises nothing.
    """
    names = scan.names_of.get(uuid, ())
    if len(names) != 1 or uuid in scan.leftovers or uuid in scan.moved or uuid in scan.strays:
        return False
    name = names[0]
    if scan.source_of[name] == "config":
        if scan.configs.get(f"{name}.xml") is None or f"{uuid}.xml" not in scan.config_store:
            return False
    elif f"{uuid}.xml" in scan.config_store:
        return False
    logs = scan.logs_of_name.get(name, ())
    stored = scan.log_store.get(uuid, ())
    prefix = f"{STORE}/{uuid}.log"
    texts = scan.logs
    for suffix, entry in logs:
        if texts[entry] != prefix + suffix or (suffix and suffix not in stored):
            return False
    if len(stored) > len(logs) or len(scan.logs_of_uuid.get(uuid, ())) != len(logs):
        return False
    return all(_metadata_tidy(dirs, scan, kind, name, uuid) for kind in scan.meta_names)


def _metadata_tidy(dirs: TrustedDirs, scan: Scan, kind: Kind, name: str, uuid: str) -> bool:
    here = name in scan.meta_names[kind]
    stored = uuid in scan.meta_store[kind]
    if not stored:
        return not here or not _list(dirs.names(kind), name)
    if not here:
        return False
    names, store = dirs.names(kind), dirs.store(kind)
    if names is None or store is None:
        return False
    prefix = dirs.layout.link_prefix(kind, uuid)
    try:
        fd = open_below(names, name)
    except OSError:
        return False
    try:
        entries = os.listdir(fd)
        readlink = os.readlink
        for entry in entries:
            if readlink(entry, dir_fd=fd) != prefix + entry:
                return False
    except OSError:
        return False
    finally:
        os.close(fd)
    kept = _list(store, uuid)
    # An empty directory in the store is to be removed.
    return bool(kept) and len(kept) == len(entries) and set(kept) == set(entries)


def _list(parent: int | None, name: str) -> list[str]:
    if parent is None:
        return []
    try:
        fd = open_below(parent, name)
    except OSError:
        return []
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)
