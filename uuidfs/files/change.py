"""The system calls: the only module that renames, links or unlinks anything.

Every call takes a directory descriptor and a plain name; nothing here follows a symlink in
the last component. Errors are OSError as the kernel gave them; :mod:`uuidfs.apply` turns
them into messages. Descriptors are opened close-on-exec.
"""

import ctypes
import errno
import os
from collections.abc import Callable

from uuidfs.files.directory import open_below
from uuidfs.files.entry import look

_RENAME_EXCHANGE = 2

_NO_EXCHANGE = frozenset({errno.EINVAL, errno.ENOSYS})


trace: Callable[[str], None] = lambda point: None  # noqa: E731 - replaced by tests as a whole

"""Called with the name of each point between two steps of a protocol; inert in production."""


class NoExchangeError(Exception):
    """This file system has no RENAME_EXCHANGE (some network file systems, old ZFS)."""


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


def sync_directory(directory: int) -> None:
    """fsync(2) of a directory: the names in it survive a power cut afterwards."""
    os.fsync(directory)
