"""Asks the running libvirt daemon what a domain is called.

Only ``check --repair`` needs this, to finish a rename that was cut in half. libvirt-python is
used where it is installed, virsh where it is not, and the absence of a daemon is an answer.
"""

import shutil
import subprocess

from uuidfs.errors import UuidfsError
from uuidfs.layout import Layout

TIMEOUT = 10.0  # seconds; a daemon that takes longer has not answered


class NoAnswerError(UuidfsError):
    """A daemon may be running, but did not say what the domain is called."""


def name_of(layout: Layout, uuid: str) -> str | None:
    """Return the name libvirt knows for a UUID, or None when no daemon runs for this layout.

    Raises NoAnswerError when that cannot be told: then nothing may be repaired.
    """
    if not layout.live:
        return None
    virsh = shutil.which("virsh")
    if virsh is None:
        raise NoAnswerError("cannot ask libvirt for the domain's name: virsh is not installed")
    command = [virsh, "--connect", layout.uri, "--quiet", "domname", uuid]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, and a UUID that was checked
            command, capture_output=True, text=True, timeout=TIMEOUT, check=False,
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
