"""Tells whether the directories snapshot and checkpoint are what their names say.

Both are in a directory of QEMU's user, who can exchange them, and others of that user's with them.
"""

import stat
from collections.abc import Iterator

from uuidfs.files.directory import Directory, opened
from uuidfs.layout.names import DIRECTORY_MARK
from uuidfs.layout.places import Kind
from uuidfs.survey.documents import Documents


def snapshots_are_there(documents: Documents) -> bool:
    """Whether the directory called snapshot is that of the snapshots, as far as can be told.

    The store notes its inode, and that of checkpoint, while it has files of that kind. Without a
    note, one snapshot of any domain tells where it is, which that user cannot put anywhere. On a
    host without any the name is believed. Raises UuidfsError.
    """
    top = documents.dirs.names(Kind.SNAPSHOT)
    above = opened(top.place.parent) if top is not None else None
    if top is None or above is None:
        return False
    with above:
        known = [_is_noted(documents, kind, above) for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT)]
        if known != [None, None]:
            return False not in known
        if _has_one(documents, top):
            return True
        others = _below(documents, above, of_anybody=True)
        return not any(_has_one(documents, other) for other in others)


def _is_noted(documents: Documents, kind: Kind, above: Directory) -> bool | None:
    """Whether it is the directory that the store notes; None where it notes none, or one that is
    gone: all inodes are new after a restore from a backup."""
    names, store = documents.dirs.names(kind), documents.dirs.store(kind)
    noted = store.link_text(DIRECTORY_MARK) if store is not None else None
    if noted is None or not noted.isdigit():
        return None
    if names is not None and int(noted) == names.inode:
        return True
    return False if int(noted) in above.inodes() else None


def _has_one(documents: Documents, top: Directory) -> bool:
    """Whether a snapshot of a domain lies where it would in the directory of the snapshots."""
    return any(
        _is_snapshot(documents, directory, entry)
        for directory in _below(documents, top)
        for entry in directory.list()
    )


def _below(
    documents: Documents, top: Directory, *, of_anybody: bool = False
) -> Iterator[Directory]:
    """The directories in one, libvirt's own or ``of_anybody``; each is open until the next."""
    for name in top.list():
        found = top.look(name)
        if found is None or not stat.S_ISDIR(found.form):
            continue
        directory = top.child(name)
        if directory is None:
            continue
        with directory:
            if of_anybody or directory.status().st_uid in documents.dirs.trusted:
                yield directory


def _is_snapshot(documents: Documents, directory: Directory, entry: str) -> bool:
    found = directory.look(entry)
    if found is None or not found.is_file or found.uid not in documents.dirs.trusted:
        return False
    identity = documents.identify(directory, entry, found)
    return not isinstance(identity, str) and identity.root == "domainsnapshot"
