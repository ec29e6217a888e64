"""libvirt-python, which is optional: only local migration needs it.

A daemon that hangs or is stopped never answers, and a call in C cannot be interrupted. So every
connection has keepalive (libvirt's own way to find out), for which an event loop runs in a
thread; and what keepalive does not cover waits in a thread of its own, for a bounded time.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from uuidfs.errors import AmbiguousDomain, UsageError, UuidfsError, meant, show
from uuidfs.layout.words import alike, beginning_so

KEEPALIVE = (2, 6)  # seconds between two questions, and how many may stay without an answer

ANSWER = 20.0  # seconds for one call that may hang: longer than keepalive takes

T = TypeVar("T")


class NoLibvirtPython(UuidfsError):
    """libvirt-python is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "local migration needs libvirt-python: install python3-libvirt, or "
            "uuidfs[local-migration] from PyPI"
        )


class LibvirtRefused(UuidfsError):
    """libvirt reports an error. ``code`` is its VIR_ERR number."""

    def __init__(self, action: str, error: Any) -> None:
        super().__init__(f"cannot {action}: {' '.join(str(error).split())}")
        self.action = action
        self.code: int | None = error.get_error_code()


class NoAnswer(UuidfsError):
    """A daemon or a QEMU process did not answer in time; what it was asked may still happen."""

    def __init__(self, action: str, seconds: float) -> None:
        super().__init__(f"cannot {action}: no answer within {seconds:g} s")
        self.action = action
        self.seconds = seconds


_loop_lock = threading.Lock()
_loops: list[threading.Thread] = []


def module() -> Any:
    """The libvirt module, silenced: errors are raised, not printed. Raises NoLibvirtPython."""
    try:
        import libvirt
    except ImportError as error:
        raise NoLibvirtPython from error
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with _loop_lock:
        if not _loops:
            # Before the first connection: one that is older would have no keepalive.
            libvirt.virEventRegisterDefaultImpl()
            _loops.append(threading.Thread(target=_run, args=(libvirt,), daemon=True))
            _loops[0].start()
    return libvirt


def _run(libvirt: Any) -> None:
    while True:
        with contextlib.suppress(libvirt.libvirtError):
            libvirt.virEventRunDefaultImpl()


@contextlib.contextmanager
def doing(action: str) -> Iterator[None]:
    """Turn libvirt's errors within the block into LibvirtRefused."""
    libvirt = module()
    try:
        yield
    except libvirt.libvirtError as error:
        raise LibvirtRefused(action, error) from error


def bounded(action: str, call: Callable[[], T], seconds: float = ANSWER) -> T:
    """``call()``, given up after so long. Raises NoAnswer, or what it raises.

    The thread of a call that was given up ends when the call does, or with the process.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            done.append(call())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise NoAnswer(action, seconds)
    return done[0]


def connect(uri: str) -> Any:
    """A connection to a daemon. Raises LibvirtRefused, or NoAnswer."""
    libvirt = module()

    def opened() -> Any:
        connection = libvirt.open(uri)
        connection.setKeepAlive(*KEEPALIVE)
        return connection

    action = f"connect to {uri}"
    with doing(action):
        return bounded(action, opened)


def lookup(connection: Any, domain: str) -> Any | None:
    """The domain with a name or UUID, in virsh's order; None when the daemon has none."""
    libvirt = module()
    for look in (connection.lookupByUUIDString, connection.lookupByName):
        try:
            return look(domain)
        except libvirt.libvirtError as error:
            if error.get_error_code() not in {
                libvirt.VIR_ERR_NO_DOMAIN,
                libvirt.VIR_ERR_INVALID_ARG,
            }:
                raise LibvirtRefused(f"look for {domain}", error) from error
    return None


def find(connection: Any, word: str) -> Any:
    """The domain that a word on the command line means: also one whose UUID alone begins so.

    Raises LibvirtRefused, UsageError where the daemon has none, with names that are like it, and
    AmbiguousDomain for a beginning of several.
    """
    domain = lookup(connection, word)
    if domain is not None:
        return domain
    known = _known(connection)
    found = beginning_so(known, word)
    if len(found) > 1:
        raise AmbiguousDomain(word, [(uuid, str(known[uuid].name())) for uuid in found])
    if found:
        return known[found[0]]
    near = alike(word, [str(each.name()) for each in known.values()])
    raise UsageError(f"libvirt has no domain {show(word)!r}{meant(near)}")


def _known(connection: Any) -> dict[str, Any]:
    with doing("list the domains"):
        return {str(each.UUIDString()): each for each in connection.listAllDomains()}
