"""Puts a run between uuidfs and the kernel: each call and each look goes through it first."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from uuidfs.apply import trashing
from uuidfs.apply.open_dirs import OpenDirs
from uuidfs.convert import run as convert_run
from uuidfs.errors import Busy, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.host import libvirtd
from uuidfs.reconcile import full_pass
from uuidfs.runtime.domain_locks import Locks
from uuidfs.survey import stamp, up_to_date

CALLS = (
    "exchange",
    "rename",
    "rename_new",
    "link",
    "symlink",
    "unlink",
    "make_directory",
    "remove_directory",
)
LOOKS = ("look", "link_text", "stat", "list", "inodes", "read", "child", "status", "is_same")
here = threading.local()
"""The run, and the process of uuidfs whose thread this is, or None."""


def changes_nothing(name: str, arguments: tuple[Any, ...]) -> bool:
    """A call without an effect: what comes just before it may as well come just after it."""
    if name not in {"unlink", "make_directory", "remove_directory"}:
        return False
    try:
        os.stat(arguments[1], dir_fd=arguments[0].fd, follow_symlinks=False)
    except FileNotFoundError:
        return name != "make_directory"
    return name == "make_directory"


def _holding(real: Callable[..., Any]) -> Callable[..., Any]:
    """Locks.hold; before a lock is taken anybody may work: what was seen until then may be old."""

    @contextmanager
    def hold(self: Locks, uuid: str) -> Iterator[None]:
        process = getattr(here, "process", None)
        if process is None:
            with real(self, uuid):
                yield
            return
        if here.run.arrive(process, look=False, quiet=False) == "fail":
            raise SystemCallFailed("lock", uuid, OSError(errno.EIO, "injected"))
        with ExitStack() as stack:
            try:
                stack.enter_context(real(self, uuid))
            except Busy:
                process.sees("busy")
                raise
            process.sees("locked")
            yield

    return hold


@contextmanager
def hooked() -> Iterator[None]:
    """Every call of uuidfs in a process of a run goes through the run; times stand still."""
    real: list[tuple[Any, str, Any]] = []

    def put(owner: Any, name: str, value: Any) -> None:
        real.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def wrapped(name: str, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if getattr(here, "process", None) is None:
                return function(*arguments)
            return getattr(here.run, kind)(name, function, arguments)

        return call

    for name in CALLS:
        put(change, name, wrapped(name, getattr(change, name), "call"))
    for name in LOOKS:
        put(Directory, name, wrapped(name, getattr(Directory, name), "look"))
    put(Locks, "hold", _holding(Locks.hold))
    put(convert_run, "is_up_to_date", wrapped("", up_to_date.is_up_to_date, "look"))
    for owner in (full_pass, libvirtd):  # check imports its own when it repairs
        put(owner, "name_of", lambda layout, uuid: here.run.ask(uuid))
        put(owner, "checkpoints_of", lambda layout, uuid: here.run.ask_checkpoints(uuid))
    put(full_pass, "RENAME_PATIENCE", 0)
    put(stamp, "_TICK", 10**18)  # no scan is used again, however slow the machine is
    put(OpenDirs, "sync", lambda self: None)
    put(trashing, "now", lambda: "20260101T000000")
    try:
        yield
    finally:
        for owner, name, value in reversed(real):
            setattr(owner, name, value)
