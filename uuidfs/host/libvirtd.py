"""The running libvirt daemon: whether one runs, what it calls a domain, and how to reload it.

Who runs is who holds the lock on the daemon's pid file (uuidfs.host.pid_files).

A reload is needed once, for the first hook: a daemon looks for hooks when it starts or reloads.
What is owed is written down before the hook is installed, so that a kill between the two does
not leave a daemon that never hears of it.
"""

import os
import signal
from dataclasses import dataclass

from uuidfs.errors import SystemCallFailed, UsageError
from uuidfs.files import change
from uuidfs.files.directory import opened
from uuidfs.files.small import replace_file
from uuidfs.host.pid_files import holder, holder_of, pid_file
from uuidfs.host.virsh import NoAnswerError, NobodyError, virsh
from uuidfs.layout.places import Layout
from uuidfs.runtime.flock import make_lock_directory
from uuidfs.runtime.known_checkpoints import KnownCheckpoints

DAEMONS = ("libvirtd", "virtqemud")
OWED = "reload-owed"


def runs(layout: Layout) -> bool:
    """Whether a libvirt daemon that handles QEMU runs for this layout.

    Told by the lock that it keeps on its pid file, never by connecting: at boot systemd listens
    on the daemon's socket before the daemon runs, and a daemon that waits for ``uuidfs check``
    cannot answer it.
    """
    try:
        return any(holder_of(path) is not None for path in _pid_files(layout))
    except SystemCallFailed as error:
        raise NoAnswerError(f"cannot tell whether libvirt runs: {error}") from error


def name_of(layout: Layout, uuid: str) -> str | None:
    """Return the name libvirt knows for a UUID, or None when no daemon runs for this layout.

    Raises NoAnswerError when that cannot be told: then nothing may be repaired.
    """
    return _ask(layout, "the domain's name", "domname", uuid)


def has_name(layout: Layout, name: str) -> bool:
    """Whether libvirt knows a domain of this name; False when no daemon runs for this layout.

    A number is no question: virsh 9.0 takes it for the ID of a running domain. Raises
    NoAnswerError, also where libvirt knows none.
    """
    if name.isdecimal():
        return False
    return bool(_ask(layout, "a domain of this name", "domuuid", f"--domain={name}"))


def checkpoints_of(layout: Layout, uuid: str) -> KnownCheckpoints | None:
    """The checkpoints that libvirt knows of a domain, or None when no daemon runs for this layout.

    Raises NoAnswerError when that cannot be told.
    """
    what = "the domain's checkpoints"
    since = _running_since(layout)
    told = _ask(layout, what, "checkpoint-list", "--name", uuid)
    if told is None or since is None:
        return None
    if _running_since(layout) != since:
        raise NoAnswerError(f"libvirt was restarted while it was asked for {what}")
    return KnownCheckpoints(frozenset(line for line in told.split("\n") if line), since)


def starts_once(layout: Layout, uuid: str) -> bool | None:
    """Whether libvirt has a mark for one autostart of a domain in its memory (11.2 and later).

    None when no daemon runs for this layout, or one that does not say. Raises NoAnswerError.
    """
    told = _ask(layout, "whether the domain starts once", "dominfo", uuid)
    for line in (told or "").split("\n"):
        what, _, answer = line.partition(":")
        if what == "Autostart Once":
            return answer.strip() == "enable"
    return None


def _running_since(layout: Layout) -> int | None:
    """When the daemon wrote its pid file, in nanoseconds; None when none runs."""
    for path in _pid_files(layout):
        with pid_file(path) as fd:
            try:
                if fd is not None and holder(fd) is not None:
                    return os.fstat(fd).st_mtime_ns
            except OSError as error:
                raise NoAnswerError(f"cannot tell since when libvirt runs: {error}") from error
    return None


def daemon_of(layout: Layout) -> tuple[str, int] | None:
    """The name and process of the daemon that runs the host's QEMU driver; None without one.

    Where both could, libvirtd comes first: it takes virtqemud's socket with its own. Raises
    SystemCallFailed.
    """
    for path in _pid_files(layout):
        if pid := holder_of(path):
            return os.path.basename(path)[:-4], pid
    return None


def _pid_files(layout: Layout) -> list[str]:
    # /run/libvirt/qemu -> /run; for a session RUNTIME/libvirt/qemu/run -> RUNTIME/libvirt.
    directory = os.path.dirname(os.path.dirname(layout.status.path))
    return [f"{directory}/{name}.pid" for name in DAEMONS]


def _ask(layout: Layout, what: str, *command: str) -> str | None:
    """What virsh prints; None when no daemon runs for this layout. Raises NoAnswerError."""
    if not layout.live or not runs(layout):
        return None
    try:
        return virsh(layout, f"ask libvirt for {what}", *command)
    except NobodyError:
        return None


@dataclass(frozen=True)
class Reloaded:
    """The daemons that were told, as "libvirtd (pid 4711)"; none when none runs."""

    daemons: tuple[str, ...]


def refuse_elsewhere(layout: Layout) -> None:
    """Raise UsageError for a layout that no running daemon looks at."""
    if not layout.live or layout.uri != "qemu:///system":
        raise UsageError("--reload is for the host's own qemu:///system")


def owe(layout: Layout) -> None:
    """Write down that the daemon has to be told. Raises UuidfsError."""
    make_lock_directory(layout.locks)
    replace_file(layout.locks.parent, OWED, b"")


def send_reload(layout: Layout) -> Reloaded:
    """Tell the daemons if that is owed, and forget it. Raises SystemCallFailed; then it still is.

    A daemon that is not running looks for hooks when it starts.
    """
    run = opened(layout.locks.parent)
    if run is None:
        return Reloaded(())
    with run:
        if run.look(OWED) is None:
            return Reloaded(())
        told = Reloaded(
            tuple(
                f"{name} (pid {pid})"
                for name in DAEMONS
                if (pid := _hang_up(f"{os.path.dirname(run.path)}/{name}.pid"))
            )
        )
        change.unlink(run, OWED)
    return told


def _hang_up(path: str) -> int | None:
    """SIGHUP for the holder of the lock; None when nobody holds it."""
    with pid_file(path) as fd:
        try:
            pid = holder(fd) if fd is not None else None
            if fd is None or not pid:
                return None
            process = os.pidfd_open(pid)
            try:
                if holder(fd) != pid:  # ended, and the number may be another process's
                    return None
                signal.pidfd_send_signal(process, signal.SIGHUP)
            finally:
                os.close(process)
        except ProcessLookupError:
            return None
        except OSError as error:
            raise SystemCallFailed("tell the daemon of", path, error) from error
    return pid
