"""The state of an emulated TPM while its guest is away: a copy on disk, put back where it is newer.

libvirt (9.0 to 11.3) has it in /var/lib/libvirt/swtpm/UUID. While a guest is in the peer, its swtpm
writes to a directory of the peer's, here: by-uuid/aside/UUID.tpm, which lies over
/var/lib/libvirt/swtpm there. libvirt removes its own when it undefines the domain (a live rename),
and a guest that ends in the peer has left its newest state in the peer's. A state that is rolled
back has lost keys. So the peer's is on disk, begins as a copy, and the newest one wins: whoever
has the guest writes, so what was written last is what the guest has seen last.

The directories with files belong to swtpm's user, who may put anything there: nothing is followed,
only regular files of its own are copied, and they keep their owner. The hook loads this: os only.
"""

import os
import stat

from uuidfs.errors import Refused, SystemCallFailed, Unreadable
from uuidfs.files import change
from uuidfs.files.directory import Directory, existing, opened
from uuidfs.files.small import write_whole
from uuidfs.layout.places import Layout, Place

_LIMIT = 1 << 24  # bytes of one file; a TPM 2.0 has some kB

_FILES = 64  # in one directory; swtpm has a handful

_TRIES = 5  # to read a file that is being replaced


def place_of(layout: Layout, uuid: str) -> Place:
    """The directory that the peer has in its place."""
    return layout.aside.child(f"{uuid}.tpm")


def keep(layout: Layout, uuid: str) -> None:
    """Make the peer's directory, with a copy of the state that survives a power cut.

    Raises UuidfsError, also where there is no state; what it has made then, ``settle`` removes.
    """
    place = place_of(layout, uuid)
    drop(layout, uuid)
    with existing(layout.tpm_states.child(uuid)) as state:
        try:
            change.make_path(place.path, 0o700)
            with existing(place) as kept:
                _copy(state, kept, uuid)
                os.fchmod(kept.fd, 0o711)  # as libvirt's own: swtpm's user goes through
                change.sync_directory(kept)
            with existing(place.parent) as above:
                change.sync_directory(above)
        except OSError as error:
            raise SystemCallFailed("keep", place.path, error) from error


def settle(layout: Layout, uuid: str, *, runs: bool, defined: bool) -> bool:
    """The guest is in no peer any more: put the newer state back, and remove the peer's directory.

    ``runs``: it runs at home, where its state is then. ``defined``: libvirt knows the domain; of
    one that it does not know it keeps no state, so none is made. Tells whether one was put back.
    Raises UuidfsError; what was there is there still.
    """
    place = place_of(layout, uuid)
    peer = opened(place)
    if peer is None:
        return False
    done = False
    with peer:
        away = peer.child(uuid)
        if away is not None:
            with away:
                if not runs and _newest(away) > _newest_of(layout, uuid, defined=defined):
                    _put_back(layout, uuid, away)
                    done = True
    drop(layout, uuid)
    return done


def _put_back(layout: Layout, uuid: str, away: Directory) -> None:
    place = layout.tpm_states
    temporary = _temporary(uuid)
    path = f"{place.path}/{uuid}"
    with existing(place) as directory:
        try:
            change.remove_tree(directory.at(temporary))
            _copy(away, directory, temporary)
            try:
                change.exchange(directory, temporary, directory, uuid)
            except FileNotFoundError:
                change.rename(directory, temporary, directory, uuid)
            except change.NoExchangeError:
                change.remove_tree(path)
                change.rename(directory, temporary, directory, uuid)
            change.sync_directory(directory)
        except OSError as error:
            raise SystemCallFailed("put the TPM's state back to", path, error) from error


def drop(layout: Layout, uuid: str) -> None:
    """Remove the peer's directory, and before it what ``settle`` has left of the older state.

    Raises Refused when something stays.
    """
    for path in (f"{layout.tpm_states.path}/{_temporary(uuid)}", place_of(layout, uuid).path):
        change.remove_tree(path)
        if os.path.lexists(path):
            raise Refused(path, "this cannot be removed", "look why, and remove it")


def _temporary(uuid: str) -> str:
    return f".{uuid}.uuidfs"


def _newest_of(layout: Layout, uuid: str, *, defined: bool) -> int:
    """When libvirt's own was written; -1 where there is none and there should be one."""
    state = opened(layout.tpm_states.child(uuid))
    if state is None:
        return -1 if defined else 1 << 63
    with state:
        return _newest(state)


def _newest(state: Directory) -> int:
    """When the permanent state was written, in ns; 0 where there is none."""
    newest = 0
    for name in state.list():
        if not _is_directory(state.stat(name)):
            continue
        below = state.child(name)
        if below is not None:
            with below:
                for file in below.list():
                    found = below.stat(file)
                    if found is not None and file.endswith(".permall"):
                        newest = max(newest, found.st_mtime_ns)
    return newest


def _is_directory(found: os.stat_result | None) -> bool:
    return found is not None and stat.S_ISDIR(found.st_mode)


def _copy(source: Directory, parent: Directory, name: str, depth: int = 1) -> None:
    """Copy a directory and those in it, with owners, modes and times; durable. Raises OSError."""
    status = source.status()
    copy = change.make_directory(parent, name, 0o700, os.getegid())
    if copy is None:
        raise Refused(parent.at(name), "this is in the way", "remove it")
    with copy:
        for entry in source.list()[:_FILES]:
            found = source.stat(entry)
            if found is None:
                continue
            if stat.S_ISDIR(found.st_mode) and depth:
                below = source.child(entry)
                if below is not None:
                    with below:
                        _copy(below, copy, entry, depth - 1)
            elif stat.S_ISREG(found.st_mode) and found.st_uid == status.st_uid:
                _copy_file(source, copy, entry)
        # At the end: until then nobody else can change names in it.
        os.fchown(copy.fd, status.st_uid, status.st_gid)
        os.fchmod(copy.fd, stat.S_IMODE(status.st_mode) & 0o777)
        change.sync_directory(copy)


def _copy_file(source: Directory, copy: Directory, name: str) -> None:
    """One that swtpm replaces meanwhile is read again."""
    for tried in range(_TRIES):
        found = source.stat(name)
        try:
            data = source.read(name, _LIMIT)
        except Unreadable:
            if tried + 1 == _TRIES:
                raise
            continue
        if found is None or data is None:
            return  # a temporary name of swtpm's
        write_whole(copy, name, data, mode=found.st_mode & 0o666, durable=True)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=copy.fd, follow_symlinks=False)
        times = found.st_atime_ns, found.st_mtime_ns
        os.utime(name, ns=times, dir_fd=copy.fd, follow_symlinks=False)
        return
