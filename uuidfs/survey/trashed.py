"""Looks into the trash for a file whose name is there: it was taken for deleted, and is not."""

from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import TRASH
from uuidfs.layout.trash_label import parse_label
from uuidfs.survey.view import Pair


def with_trashed(dirs: TrustedDirs, uuid: str, pair: Pair) -> Pair:
    """Note where the file of a link of ours is, when it is not in the store but in the trash.

    Returns the pair as it is for all others. Raises Refused when the trash is not ours alone.
    """
    text = pair.at_name.text if pair.at_name is not None else None
    if text is None or pair.in_store is not None:
        return pair
    if text != dirs.layout.link_text(pair.kind, uuid, pair.store_entry):
        return pair
    return pair._replace(trashed=_newest(dirs, uuid, pair))


def _newest(dirs: TrustedDirs, uuid: str, pair: Pair) -> str | None:
    store = dirs.store(pair.kind)
    trash = store.child(TRASH) if store is not None else None
    if trash is None:
        return None
    with trash:
        dirs.check_store(trash)
        found = []
        for name in trash.list():
            label = parse_label(name)
            if label is None or label.uuid != uuid:
                continue
            inner = trash.child(name)
            if inner is not None:
                with inner:
                    entry = inner.look(pair.store_entry)
                    if entry is not None and entry.is_file:
                        found.append((label.time, len(name), name))
    return max(found)[2] if found else None
