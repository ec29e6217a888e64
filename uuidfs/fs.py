"""The system calls: the only module that renames, links or unlinks anything.

Every call takes a directory descriptor and a plain name; nothing here follows a symlink in
the last component. Errors are OSError as the kernel gave them; :mod:`uuidfs.apply` turns
them into messages. Descriptors are opened close-on-exec.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from uuidfs.errors import Refused, Unreadable
from uuidfs.layout import Place

_RENAME_EXCHANGE = 2
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NO_EXCHANGE = frozenset({errno.EINVAL, errno.ENOSYS})

trace: Callable[[str], None] = lambda point: None  # noqa: E731 - replaced by tests as a whole
"""Called with the name of each point between two steps of a protocol; inert in production."""


class Entry(NamedTuple):
    """What lies at a name: enough to recognise it again before it is replaced or removed.

    ``text`` is set for symlinks only; ``form`` is the S_IFMT part of the mode; ``ctime`` in
    nanoseconds tells whether a document that was read once has changed since.
    """

    form: int
    dev: int
    ino: int
    uid: int
    nlink: int
    text: str | None = None
    ctime: int = 0

    @property
    def is_file(self) -> bool:
        """A regular file."""
        return self.form == stat.S_IFREG

    def same_inode(self, other: "Entry | None") -> bool:
        """Identity is (st_dev, st_ino), nothing else."""
        return other is not None and (self.dev, self.ino) == (other.dev, other.ino)

    @property
    def noun(self) -> str:
        """What a message calls it."""
        return {
            stat.S_IFREG: "a regular file",
            stat.S_IFLNK: "a symlink",
            stat.S_IFDIR: "a directory",
            stat.S_IFIFO: "a fifo",
            stat.S_IFSOCK: "a socket",
        }.get(self.form, "a device")


class NoExchangeError(Exception):
    """This file system has no RENAME_EXCHANGE (some network file systems, old ZFS)."""


def open_place(place: Place) -> int:
    """Open a directory: its base by path, each component below without following a link.

    Raises FileNotFoundError when it is missing, Refused when a component is a symlink or
    not a directory.
    """
    fd = os.open(place.base, os.O_RDONLY | os.O_DIRECTORY)
    for count, part in enumerate(place.below, 1):
        parent = fd
        try:
            fd = open_below(parent, part)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                where = Place(place.base, place.below[:count]).path
                raise Refused(where, "this has to be a directory, and no symlink") from error
            raise
        finally:
            os.close(parent)
    return fd


@contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close a descriptor at the end of a block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_below(parent: int, name: str) -> int:
    """Open the directory ``name`` in ``parent``; ELOOP or ENOTDIR when it is something else."""
    return os.open(name, _DIRECTORY, dir_fd=parent)


def look(directory: int, name: str) -> Entry | None:
    """Return what lies at ``name``, or None.

    Between the stat and the readlink of a symlink virtlogd or libvirt can put a regular file
    there (EINVAL): then this looks again.
    """
    while True:
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            form = stat.S_IFMT(found.st_mode)
            text = os.readlink(name, dir_fd=directory) if form == stat.S_IFLNK else None
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                continue
            raise
        return Entry(
            form, found.st_dev, found.st_ino, found.st_uid, found.st_nlink, text, found.st_ctime_ns
        )


def read_small(directory: int, name: str, limit: int, path: str) -> bytes:
    """Read a whole regular file of at most ``limit`` bytes.

    A fifo or device does not block (O_NONBLOCK) and is refused, like a symlink.
    """
    try:
        fd = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=directory
        )
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise Unreadable(path, "it is not a regular file") from error
        raise
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable(path, "it is not a regular file")
        if found.st_size > limit:
            raise Unreadable(path, f"it is larger than {limit} bytes")
        data = os.read(fd, found.st_size + 1)
        if len(data) > found.st_size:  # libvirt replaces its files; this one is being written
            raise Unreadable(path, "it grows while it is read")
    finally:
        os.close(fd)
    return data


_libc = ctypes.CDLL(None, use_errno=True)
_renameat2 = _libc.renameat2
_renameat2.argtypes = [
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
]


def exchange(a_dir: int, a: str, b_dir: int, b: str) -> None:
    """Swap two names in one step: renameat2(2) with RENAME_EXCHANGE.

    Raises NoExchangeError where the file system cannot, FileNotFoundError when either name
    is missing. Nothing has changed after any error.
    """
    if _renameat2(a_dir, os.fsencode(a), b_dir, os.fsencode(b), _RENAME_EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        raise NoExchangeError
    raise OSError(code, os.strerror(code), a, None, b)


def rename(from_dir: int, old: str, to_dir: int, new: str) -> None:
    """rename(2). Two links to one inode are a no-op that leaves both: then ``old`` is removed."""
    os.rename(old, new, src_dir_fd=from_dir, dst_dir_fd=to_dir)


def link(from_dir: int, old: str, to_dir: int, new: str) -> None:
    """Hard-link ``old``, never what it points at.

    ENOENT can come for a name that exists, when it was replaced between look-up and link
    (the old inode's link count was 0 by then): tried again, a few times.
    """
    for _ in range(8):
        try:
            return os.link(old, new, src_dir_fd=from_dir, dst_dir_fd=to_dir, follow_symlinks=False)
        except FileNotFoundError:
            if look(from_dir, old) is None:
                raise
    return os.link(old, new, src_dir_fd=from_dir, dst_dir_fd=to_dir, follow_symlinks=False)


def symlink(text: str, directory: int, name: str) -> None:
    """Make a symlink; FileExistsError when there is anything at ``name``."""
    os.symlink(text, name, dir_fd=directory)


def unlink(directory: int, name: str) -> None:
    """Remove a name that is not a directory; a missing one is fine."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass


def make_directory(parent: int, name: str, mode: int, gid: int) -> int | None:
    """Make a directory with exactly this mode and group, and open it; None when it exists."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return None
    fd = open_below(parent, name)
    try:
        if os.fstat(fd).st_gid != gid:
            os.fchown(fd, -1, gid)
        os.fchmod(fd, mode)
    except BaseException:
        os.close(fd)
        raise
    return fd


def remove_directory(parent: int, name: str) -> bool:
    """Remove a directory if it is there and empty; tells whether it is gone."""
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR}:
            return False
        raise
    return True


def remove_tree(path: str) -> None:
    """Remove a directory of our own below /run with all that is in it; links are not followed.

    For what a daemon of ours left: its names are not known one by one. What cannot be removed
    stays, and is removed by whoever comes next.
    """
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def write_file(directory: int, name: str, data: bytes) -> None:
    """Replace a small file of our own under /run: complete or not at all, but not durable."""
    temporary = f"{name}.new"
    unlink(directory, temporary)
    fd = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=directory
    )
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
    rename(directory, temporary, directory, name)


def sync_directory(directory: int) -> None:
    """fsync(2) of a directory: the names in it survive a power cut afterwards."""
    os.fsync(directory)


def private(path: str, flags: int) -> int:
    """For open(): a file for its owner only, and never through a link."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
