"""After a revert of everything: our directories go, as far as they are empty."""

from uuidfs.errors import SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import Directory, opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import DIRECTORY_MARK
from uuidfs.layout.places import RETENTION_FILE, STORE, TRASH, Kind, Place


def remove_stores(dirs: TrustedDirs) -> list[str]:
    """After a revert of everything: remove our directories, as far as they are empty.

    Returns the paths that stay because something is in them; raises SystemCallFailed.
    """
    kept = []
    for kind in Kind:
        store = dirs.store(kind)
        if store is None:
            continue
        try:
            kept += _empty_store(store)
        except OSError as error:
            raise SystemCallFailed("clean up", store.path, error) from error
    keepsakes = dirs.kept()
    if keepsakes is not None:
        with keepsakes:
            try:
                kept += _empty_store(keepsakes)
            except OSError as error:
                raise SystemCallFailed("clean up", keepsakes.path, error) from error
        _remove_from(dirs.layout.kept)
    _forget_ages(dirs)
    dirs.forget()
    for kind in Kind:
        place = dirs.layout.stores[kind]
        levels = 2 if kind.is_metadata else 1
        for level in range(len(place.below) - 1, len(place.below) - 1 - levels, -1):
            _remove_from(Place(place.base, place.below[: level + 1]))
    return kept


def _remove_from(place: Place) -> None:
    try:
        _remove(place.parent, place.below[-1])
    except OSError as error:
        raise SystemCallFailed("remove", place.path, error) from error


def _forget_ages(dirs: TrustedDirs) -> None:
    """What was seen when in the trash: it all counts as new after a revert."""
    state = opened(dirs.layout.state)
    if state is not None:
        with state:
            try:
                change.unlink(state, RETENTION_FILE)
            except OSError as error:
                raise SystemCallFailed("remove", state.at(RETENTION_FILE), error) from error


def _empty_store(store: Directory) -> list[str]:
    """Remove waiting room and trash when nothing is in them; return what is left."""
    trash = store.child(TRASH)
    if trash is not None:
        with trash:
            for name in trash.list():
                change.remove_directory(trash, name)  # a kill left it empty; the others stay
    for name in (STORE, TRASH):
        change.remove_directory(store, name)
    if set(store.list()) <= {DIRECTORY_MARK, TRASH}:
        change.unlink(store, DIRECTORY_MARK)
    return [store.at(name) for name in sorted(store.list())]


def _remove(above: Place, name: str) -> None:
    directory = opened(above)
    if directory is not None:
        with directory:
            if change.remove_directory(directory, name):
                change.sync_directory(directory)
