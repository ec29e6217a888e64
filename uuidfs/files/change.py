"""The calls that change names: the only module that renames, links, unlinks or makes anything.

Every call takes open directories and plain names; nothing here follows a symlink in the last
component. Errors are OSError as the kernel gave them; :mod:`uuidfs.apply.applier` turns them
into messages.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Callable

from uuidfs.files.directory import Directory

_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = frozenset({errno.EINVAL, errno.ENOSYS})

_PATH_TRIES = 20  # of make_path, where somebody removes what it has just made

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


def exchange(a_dir: Directory, a: str, b_dir: Directory, b: str) -> None:
    """Swap two names in one step: renameat2(2) with RENAME_EXCHANGE.

    Raises NoExchangeError where the file system cannot, FileNotFoundError when either name
    is missing. Nothing has changed after any error.
    """
    if _renameat2(a_dir.fd, os.fsencode(a), b_dir.fd, os.fsencode(b), _RENAME_EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        raise NoExchangeError
    raise OSError(code, os.strerror(code), a, None, b)


def rename_new(from_dir: Directory, old: str, to_dir: Directory, new: str) -> None:
    """Rename to a name that is free: renameat2(2) with RENAME_NOREPLACE, FileExistsError else.

    Where the file system cannot, by a hard link, which fails in the same way, and an unlink.
    """
    names = os.fsencode(old), os.fsencode(new)
    if _renameat2(from_dir.fd, names[0], to_dir.fd, names[1], _RENAME_NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code not in _NO_EXCHANGE:
        raise OSError(code, os.strerror(code), old, None, new)
    link(from_dir, old, to_dir, new)
    unlink(from_dir, old)


def rename(from_dir: Directory, old: str, to_dir: Directory, new: str) -> None:
    """rename(2). Two links to one inode are a no-op that leaves both names."""
    os.rename(old, new, src_dir_fd=from_dir.fd, dst_dir_fd=to_dir.fd)


def link(from_dir: Directory, old: str, to_dir: Directory, new: str) -> None:
    """Hard-link ``old``, never what it points at.

    ENOENT can come for a name that exists, when it was replaced between look-up and link
    (the old inode's link count was 0 by then): tried again, a few times.
    """
    for _ in range(8):
        try:
            return os.link(
                old,
                new,
                src_dir_fd=from_dir.fd,
                dst_dir_fd=to_dir.fd,
                follow_symlinks=False,
            )
        except FileNotFoundError:
            if from_dir.look(old) is None:
                raise
    return os.link(old, new, src_dir_fd=from_dir.fd, dst_dir_fd=to_dir.fd, follow_symlinks=False)


def link_open(fd: int, to_dir: Directory, new: str) -> None:
    """Hard-link the very file that ``fd`` has open (O_PATH will do), whatever its name is by now.

    FileExistsError when there is anything at ``new``. linkat(2) by /proc/self/fd, since
    AT_EMPTY_PATH needs a capability that the reconciler's unit has not.
    """
    os.link(f"/proc/self/fd/{fd}", new, dst_dir_fd=to_dir.fd, follow_symlinks=True)


def symlink(text: str, directory: Directory, name: str) -> None:
    """Make a symlink; FileExistsError when there is anything at ``name``."""
    os.symlink(text, name, dir_fd=directory.fd)


def unlink(directory: Directory, name: str) -> None:
    """Remove a name that is not a directory; a missing one is fine."""
    try:
        os.unlink(name, dir_fd=directory.fd)
    except FileNotFoundError:
        pass


def make_directory(parent: Directory, name: str, mode: int, gid: int) -> Directory | None:
    """Make a directory with exactly this mode and group, and open it; None when it exists."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent.fd)
    except FileExistsError:
        return None
    made = parent.child(name)
    if made is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    try:
        if made.status().st_gid != gid:
            os.fchown(made.fd, -1, gid)
        os.fchmod(made.fd, mode)
    except BaseException:
        made.close()
        raise
    return made


def make_path(path: str, mode: int = 0o755) -> None:
    """Make a directory and those above it, where they are missing, in trees of root's alone.

    Others may remove a directory, which is empty still, in any moment of this: then once more.
    Raises OSError.
    """
    for _ in range(_PATH_TRIES):
        try:
            return os.makedirs(path, mode=mode, exist_ok=True)
        except FileNotFoundError:
            continue
        except FileExistsError:
            # One look: whatever is there may be removed, and made again, between two.
            found = _kind(path)
            if found is not None and not stat.S_ISDIR(found):
                raise
    return os.makedirs(path, mode=mode, exist_ok=True)


def _kind(path: str) -> int | None:
    """The mode of what a path leads to, or of a link that leads nowhere; None for nothing."""
    for look in (os.stat, os.lstat):
        try:
            return look(path).st_mode
        except FileNotFoundError:
            continue
    return None


def remove_directory(parent: Directory, name: str) -> bool:
    """Remove a directory if it is there and empty; tells whether it is gone."""
    try:
        os.rmdir(name, dir_fd=parent.fd)
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


def copy_tree(source: str, target: str) -> None:
    """Copy a tree of root's into one of ours below /run, as far as it can be copied."""
    import contextlib
    import shutil

    with contextlib.suppress(FileNotFoundError, shutil.Error):
        shutil.copytree(source, target, dirs_exist_ok=True)


def sync_directory(directory: Directory) -> None:
    """fsync(2) of a directory: the names in it survive a power cut afterwards."""
    os.fsync(directory.fd)
