"""Hard links to the firmware's files of each domain, out of the reach of libvirt and of QEMU.

by-uuid/kept/UUID/nvram is a second name of the file that the domain uses: it tells whose a file
is when two definitions name it, and keeps the variables when libvirt deletes the file on the word
of another domain. QEMU (7.2 to 11.1) writes these files in place, so both names stay one file;
where libvirt makes a new one (``start --reset-nvram``), the link is renewed.

The directories with the files belong to QEMU's user. So a link is compared with what was seen
before it counts, and only regular files are linked.
"""

import errno
import os
from collections.abc import Iterator

from uuidfs.errors import SystemCallFailed, UuidfsError
from uuidfs.files import change
from uuidfs.files.directory import Directory, opened
from uuidfs.files.entry import Entry
from uuidfs.files.trusted import expect_ours
from uuidfs.firmware.names import Firmware
from uuidfs.layout.names import is_uuid
from uuidfs.layout.places import Layout

_NEW = "~new"

GONE = "~gone"
"""In a domain's directory: a name that is being taken away; a kill leaves it, and it may go."""


def keep(
    layout: Layout, uuid: str, kind: Firmware, directory: Directory, entry: str, found: Entry
) -> bool:
    """See to it that the domain's link is ``found``, which lies at ``entry`` in ``directory``.

    Tells whether it is: not on another file system, nor when another file came there meanwhile, nor
    where the file has names elsewhere: QEMU's user can link to what is not firmware.
    Raises UuidfsError.
    """
    place = layout.kept.child(uuid)
    if not found.is_file:
        return False
    try:
        with made(layout, uuid) as own:
            new = kind.value + _NEW
            for left in {GONE, new}.intersection(own.list()):
                change.unlink(own, left)
            if found.same_inode(own.look(kind.value)):
                return True
            change.link(directory, entry, own, new)
            made_now = own.look(new)
            # QEMU's user has put another one there, or a second name of somebody else's file.
            if (
                made_now is None
                or not found.same_inode(made_now)
                or made_now.nlink - 1 > _known_names(layout, directory, made_now)
            ):
                change.unlink(own, new)
                return False
            change.rename(own, new, own, kind.value)
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in {errno.EXDEV, errno.EMLINK, errno.EPERM}:
            return False  # another file system, or one that has no hard links
        raise SystemCallFailed("keep a link in", place.path, error) from error


def _known_names(layout: Layout, directory: Directory, file: Entry) -> int:
    """How many names a file has in libvirt's directory and by our links."""
    if file.nlink == 2:
        return 1
    there = sum(file.same_inode(directory.look(entry)) for entry in directory.list())
    return there + len(all_owners(layout).get((file.dev, file.ino), ()))


def made(layout: Layout, uuid: str) -> Directory:
    """The domain's directory, made where it is missing: for root's eyes only, and so is the one
    above. The caller closes it. Raises OSError, Refused, SystemCallFailed."""
    place = layout.kept.child(uuid)
    directory = opened(place)
    if directory is None:
        for path in (place.parent.path, place.path):  # makedirs gives the mode to the last one
            change.make_path(path, 0o700)
        directory = opened(place)
        if directory is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place.path)
    try:
        expect_ours(directory, {0, os.geteuid()})
    except BaseException:
        directory.close()
        raise
    return directory


def kept(layout: Layout, uuid: str, kind: Firmware) -> Entry | None:
    """The domain's link, if there is one. Raises UuidfsError."""
    directory = opened(layout.kept.child(uuid))
    if directory is None:
        return None
    with directory:
        found = directory.look(kind.value)
    return found if found is not None and found.is_file else None


def all_owners(layout: Layout) -> dict[tuple[int, int], set[str]]:
    """For whom each kept file is noted: (device, inode) -> UUIDs. Raises UuidfsError."""
    found: dict[tuple[int, int], set[str]] = {}
    for uuid, entry in _all(layout):
        found.setdefault((entry.dev, entry.ino), set()).add(uuid)
    return found


def forget_others(layout: Layout, uuid: str, kind: Firmware, found: Entry) -> None:
    """Remove the links of others to a file that is the domain's now. Raises UuidfsError."""
    for other in all_owners(layout).get((found.dev, found.ino), set()) - {uuid}:
        drop(layout, other, kind)


def _all(layout: Layout) -> Iterator[tuple[str, Entry]]:
    above = opened(layout.kept)
    if above is None:
        return
    with above:
        for uuid in sorted(above.list()):
            directory = above.child(uuid) if is_uuid(uuid) else None
            if directory is None:
                continue
            with directory:
                for kind in Firmware:
                    found = directory.look(kind.value)
                    if found is not None and found.is_file:
                        yield uuid, found


def give(layout: Layout, uuid: str, kind: Firmware, directory: Directory, entry: str) -> Entry:
    """Give the kept file a name that is free again. Raises FileExistsError, UuidfsError."""
    place = layout.kept.child(uuid)
    own = opened(place)
    if own is None:
        raise UuidfsError(f"{place.path} is gone")
    with own:
        change.link(own, kind.value, directory, entry)
        found = own.look(kind.value)
    if found is None:
        raise UuidfsError(f"{place.path}/{kind.value} is gone")
    return found


def drop(layout: Layout, uuid: str, kind: Firmware) -> None:
    """Remove a link; the domain has no such file, or nothing of it shall be kept."""
    own = opened(layout.kept.child(uuid))
    if own is None:
        return
    with own:
        try:
            for entry in (kind.value, kind.value + _NEW, GONE):
                change.unlink(own, entry)
        except OSError as error:
            raise SystemCallFailed("remove links from", own.path, error) from error
    tidy(layout, uuid)


def tidy(layout: Layout, uuid: str) -> None:
    """Remove the domain's directory if it is empty."""
    above = opened(layout.kept)
    if above is None:
        return
    with above:
        try:
            change.remove_directory(above, uuid)
        except OSError as error:
            raise SystemCallFailed("remove", f"{above.path}/{uuid}", error) from error


def drop_all(layout: Layout) -> tuple[str, ...]:
    """Remove all links but those that are a file's last name; returns the paths of these.

    Raises SystemCallFailed.
    """
    last = []
    above = opened(layout.kept)
    if above is None:
        return ()
    with above:
        for uuid in sorted(filter(is_uuid, above.list())):
            for kind in Firmware:
                found = kept(layout, uuid, kind)
                if found is not None and found.nlink == 1:
                    last.append(f"{above.path}/{uuid}/{kind.value}")
                else:
                    drop(layout, uuid, kind)
    state = opened(layout.state)
    if state is not None:
        with state:
            try:
                change.remove_directory(state, layout.kept.below[-1])
            except OSError as error:
                raise SystemCallFailed("remove", layout.kept.path, error) from error
    return tuple(last)
