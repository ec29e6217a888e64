"""Runs changes of names, with a commit of the file system after each of them.

A kernel commits when it likes: its timer goes off, or somebody else calls fsync(2). So each
way of committing is tried after each call. ``patched`` changes this process's os module for
good: call it in a process of its own.
"""

import ctypes
import errno
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.powercut.replay import entries_in
from uuidfs.files import change

MODES = ("end", "all", "source", "target", "file")
"""When changes get to the disk. end: by uuidfs's own fsync only. all: syncfs after each call.
source, target, file: fsync of only the directory that the call took a name from, of the one
that it put a name into, or of the file."""

_CALLS = ("rename", "link", "symlink", "unlink", "mkdir", "rmdir", "fchmod", "fchown")
_libc = ctypes.CDLL(None, use_errno=True)


def everything(mount: Path) -> None:
    """syncfs(2)."""
    fd = os.open(mount, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(fd)


class Syncer:
    """Commits after each call, and notes in a file which entry of the log ends which call."""

    def __init__(self, mount: Path, log: Path, notes: Path) -> None:
        self.mode = "end"
        self._mount = mount
        self._log = log
        self._notes = notes

    def after(self, what: str, source: int | None, target: int | None, name: str) -> None:
        """Sync as the mode says. Descriptors are of directories, and open."""
        match self.mode:
            case "end":
                return
            case "all":
                everything(self._mount)
            case "source" if source is not None:
                os.fsync(source)
            case "target" if target is not None:
                os.fsync(target)
            case "file" if target is not None:
                self._file(target, name)
        with self._notes.open("a") as notes:
            notes.write(f"{entries_in(self._log)} {self.mode} {what!r}\n")

    @staticmethod
    def _file(directory: int, name: str) -> None:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
        except OSError:
            return  # a link, or gone
        os.fsync(fd)
        os.close(fd)


def patched(syncer: Syncer, *, exchange: bool) -> None:
    """From now on every change of names in this process is followed by a commit."""
    for name in _CALLS:
        setattr(os, name, _following(syncer, name, getattr(os, name)))
    exchanging = _exchange(syncer, change._renameat2, works=exchange)
    change._renameat2 = exchanging  # type: ignore[assignment]  # stands for C


def _following(syncer: Syncer, call: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def run(*args: Any, **more: Any) -> Any:
        result = real(*args, **more)
        if isinstance(args[0], int):
            syncer.after(f"{call} {args}", args[0], args[0], ".")
            return result
        single = more.get("dir_fd")
        last = args[1] if call in {"rename", "link", "symlink"} else args[0]
        source, own_source = _directory(args[0], more.get("src_dir_fd", single), call == "symlink")
        target, own_target = _directory(last, more.get("dst_dir_fd", single), False)
        try:
            syncer.after(f"{call} {args}", source, target, os.path.basename(os.fspath(last)))
        finally:
            for fd in (*own_source, *own_target):
                os.close(fd)
        return result

    return run


def _directory(path: Any, fd: int | None, text: bool) -> tuple[int | None, tuple[int, ...]]:
    """The directory of a name, and what has to be closed afterwards."""
    if fd is not None or text:
        return fd, ()
    opened = os.open(os.path.dirname(os.fspath(path)) or ".", os.O_RDONLY | os.O_DIRECTORY)
    return opened, (opened,)


def _exchange(syncer: Syncer, real: Callable[..., int], *, works: bool) -> Callable[..., int]:
    def run(source: int, old: bytes, target: int, new: bytes, flags: int) -> int:
        if not works:
            ctypes.set_errno(errno.EINVAL)
            return -1
        result = real(source, old, target, new, flags)
        if result == 0:
            syncer.after(f"renameat2 {old!r} {new!r} {flags}", source, target, os.fsdecode(new))
        return result

    return run
