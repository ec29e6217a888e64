"""Asks the running libvirt daemon what a domain is called.

Only ``check --repair`` and the reconciler need this, to finish a rename that was cut in half.
virsh is asked, and the absence of a daemon is an answer.
"""

import fcntl
import os
import shutil
import struct
import subprocess

from uuidfs.errors import UuidfsError
from uuidfs.layout import Layout

TIMEOUT = 10.0  # seconds; a daemon that takes longer has not answered


class NoAnswerError(UuidfsError):
    """A daemon may be running, but did not say what the domain is called."""


def runs(layout: Layout) -> bool:
    """Whether a libvirt daemon that handles QEMU runs for this layout.

    Told by the lock that it keeps on its pid file (virPidFileAcquirePath, libvirt 9.0 and 11.3),
    never by connecting: at boot systemd listens on the daemon's socket before the daemon runs,
    and a daemon that waits for ``uuidfs check`` cannot answer it. F_GETLK takes no lock, so a
    daemon that starts in this moment is not kept from its own.
    """
    # /run/libvirt/qemu -> /run; for a session RUNTIME/libvirt/qemu/run -> RUNTIME/libvirt.
    directory = os.path.dirname(os.path.dirname(layout.status.path))
    return any(_locked(f"{directory}/{name}.pid") for name in ("libvirtd", "virtqemud"))


def _locked(path: str) -> bool:
    # struct flock, Linux: type, whence, start, length, pid.
    question = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        with open(path, "rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, question)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise NoAnswerError(f"cannot tell whether libvirt runs: {path}: {error}") from error
    return bool(struct.unpack_from("h", answer)[0] != fcntl.F_UNLCK)


def name_of(layout: Layout, uuid: str) -> str | None:
    """Return the name libvirt knows for a UUID, or None when no daemon runs for this layout.

    Raises NoAnswerError when that cannot be told: then nothing may be repaired.
    """
    if not layout.live or not runs(layout):
        return None
    virsh = shutil.which("virsh")
    if virsh is None:
        raise NoAnswerError("cannot ask libvirt for the domain's name: virsh is not installed")
    command = [virsh, "--connect", layout.uri, "--quiet", "domname", uuid]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, and a UUID that was checked
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoAnswerError(f"cannot ask libvirt for the domain's name: {error}") from error
    if done.returncode == 0:
        return done.stdout.rstrip("\n")
    if "Failed to connect socket" in done.stderr or "Connection refused" in done.stderr:
        return None
    message = " ".join(done.stderr.split())
    raise NoAnswerError(f"libvirt did not tell the domain's name: {message}")
