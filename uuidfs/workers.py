"""Spreads work over processes: most of a conversion is Python, which uses one CPU a process."""

import ctypes
import os
import signal
from collections.abc import Callable, Sequence
from typing import TypeVar

_LARGE = 64  # fewer items than this are done before another process would have begun

_MOST = 4  # the kernel lets one process at a time change a directory: more do not help

_PR_SET_PDEATHSIG = 1


T = TypeVar("T")


def size(items: int, cpus: int) -> int:
    """How many processes are worth it."""
    return min(cpus, _MOST, items // (_LARGE // 2)) if items >= _LARGE else 1


def spread(
    items: Sequence[str], work: Callable[[Sequence[str]], T], workers: int
) -> list[tuple[Sequence[str], T | None]]:
    """Do ``work`` on every ``workers``-th item in a process each; the first part in this one.

    Returns the parts with their results; None where a process ended without one (it was
    killed, or an exception was raised in it): its part may be done, undone or half done. The
    others end with this process, even when that is killed: there is nobody left who would make
    their work durable or tell of it. Only for processes without threads (fork(2)).
    """
    parts = [items[number::workers] for number in range(workers)]
    children: list[tuple[int, int]] = []
    try:
        for part in parts[1:]:
            children.append(_start(part, work))
        results: list[T | None] = [work(parts[0])]
        while children:
            pid, file = children.pop(0)
            results.append(_collect(pid, file))
    finally:
        for pid, file in children:  # only after an exception, a Ctrl-C for example
            os.kill(pid, signal.SIGKILL)
            _collect(pid, file)
    return list(zip(parts, results, strict=True))


def _start(part: Sequence[str], work: Callable[[Sequence[str]], T]) -> tuple[int, int]:
    file = os.memfd_create("uuidfs-results", os.MFD_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid, file
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if os.getppid() == parent:  # else it died before prctl
            import pickle

            with os.fdopen(file, "wb") as results:
                pickle.dump(work(part), results, pickle.HIGHEST_PROTOCOL)
            status = 0
    finally:
        os._exit(status)  # neither the parent's buffers nor its exit handlers are ours


def _collect(pid: int, file: int) -> "T | None":
    import pickle  # here: the hook imports this module and never gets this far

    with os.fdopen(file, "rb") as results:
        _, status = os.waitpid(pid, 0)
        if status:
            return None
        results.seek(0)
        done: T = pickle.load(results)  # noqa: S301 - an anonymous file, written by our own fork
        return done
