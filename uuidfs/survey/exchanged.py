"""Tells whether the directories snapshot and checkpoint are what their names say.

Both are in a directory of QEMU's user, who can exchange them, and others of that user's with them.
"""

import stat

from uuidfs.files.directory import Directory
from uuidfs.layout.names import DIRECTORY_MARK
from uuidfs.layout.places import Kind
from uuidfs.survey.documents import Documents


def snapshots_are_there(documents: Documents) -> bool:
    """Whether the directory called snapshot is that of the snapshots.

    The store notes either one's inode while it has files of that kind. Without a note, one
    snapshot of any domain is enough, which that user cannot put there. Raises UuidfsError.
    """
    known = [_is_noted(documents, kind) for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT)]
    if False in known:
        return False
    return True in known or _has_one(documents)


def _is_noted(documents: Documents, kind: Kind) -> bool | None:
    """Whether it is the directory that the store notes; None where it notes none."""
    names, store = documents.dirs.names(kind), documents.dirs.store(kind)
    noted = store.link_text(DIRECTORY_MARK) if store is not None else None
    return None if noted is None else names is not None and noted == str(names.inode)


def _has_one(documents: Documents) -> bool:
    top = documents.dirs.names(Kind.SNAPSHOT)
    for name in top.list() if top is not None else ():
        found = top.look(name) if top is not None else None
        if top is None or found is None or not stat.S_ISDIR(found.form):
            continue
        if found.uid not in documents.dirs.trusted:
            continue
        directory = top.child(name)
        if directory is not None:
            with directory:
                if any(_is_snapshot(documents, directory, entry) for entry in directory.list()):
                    return True
    return False


def _is_snapshot(documents: Documents, directory: Directory, entry: str) -> bool:
    found = directory.look(entry)
    if found is None or not found.is_file or found.uid not in documents.dirs.trusted:
        return False
    identity = documents.identify(directory, entry, found)
    return not isinstance(identity, str) and identity.root == "domainsnapshot"
