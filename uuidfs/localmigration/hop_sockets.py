"""The sockets that a guest's memory goes through: made by QEMU, so in a directory of its user's.

AppArmor lets a confined QEMU process make no socket but those that libvirt's generated profile
names: ``/run/libvirt/**/*.tunnelmigrate.dest.NAME rw``. So that is what ours are called. The
daemon connects as root; that it is led nowhere else, the directory is a file system of its own,
in which the kernel follows no link (MS_NOSYMFOLLOW, Linux 5.10).
"""

import base64
import contextlib
import hashlib
import os

from uuidfs.errors import Refused
from uuidfs.files import change
from uuidfs.files.directory import existing, opened
from uuidfs.layout.places import Place
from uuidfs.localmigration import mounts

HOPS = "/run/libvirt/uuidfs"

_QEMUS = "/run/libvirt/qemu"

_PLACE = Place("/run/libvirt", ("uuidfs",))

_ADDRESS = 107  # bytes of a unix socket's path (unix(7): sun_path has 108)


def _short(uuid: str) -> str:
    """A name for a domain's directory that leaves room for the domain's name."""
    digest = hashlib.sha256(uuid.encode()).digest()[:5]
    return base64.b32encode(digest).decode().lower()


def directory_of(uuid: str) -> str:
    """The directory of one domain's sockets."""
    return f"{HOPS}/{_short(uuid)}"


def path_of(uuid: str, number: int, name: str) -> str | None:
    """The socket of one hop to a domain called ``name``; None when that would be too long."""
    path = f"{directory_of(uuid)}/{number}.tunnelmigrate.dest.{name}"
    return path if len(os.fsencode(path)) <= _ADDRESS else None


def make(uuid: str, owner: tuple[int, int]) -> None:
    """Make the directory, for QEMU's user; one that is mounted already stays.

    A peer sees it only where it was mounted before the peer's start. Raises UuidfsError.
    """
    change.make_path(HOPS, 0o711)
    path = directory_of(uuid)
    change.make_path(path, 0o700)
    fd = mounts.trusted(path)
    try:
        if os.fstat(fd).st_dev == os.stat(HOPS).st_dev:
            mounts.small_tmpfs(fd, owner, path)
            _label(path)
    finally:
        os.close(fd)


def _label(path: str) -> None:
    """Under SELinux, let QEMU make sockets there, as it may in libvirt's own directory for it.

    A tmpfs that is mounted by hand is user_tmpfs_t or tmpfs_t, where svirt_t may make none: seen
    on Debian 13, and in Fedora's policy of October 2024. Where nothing has a label, or none may be
    given, all stays as it is.
    """
    fd = mounts.trusted(path)
    try:
        with contextlib.suppress(OSError):
            label = os.getxattr(_QEMUS, "security.selinux")
            os.setxattr(f"/proc/self/fd/{fd}", "security.selinux", label)
    finally:
        os.close(fd)


def remove(uuid: str) -> None:
    """Remove it, and the directory above unless others hop.

    What is in their place and no directory is not ours: a trip could not begin, and ends all the
    same.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if os.stat(directory_of(uuid)).st_dev != os.stat(HOPS).st_dev:
            mounts.unmount(directory_of(uuid))
    try:
        above = opened(_PLACE)
    except Refused:
        return
    if above is None:
        return
    with above:
        change.remove_directory(above, _short(uuid))
    with existing(_PLACE.parent) as run:
        change.remove_directory(run, os.path.basename(HOPS))
