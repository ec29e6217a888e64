"""Asks the running daemon by virsh, which is there wherever libvirt is used.

libvirt-python is optional. What is asked here is small and rare, so that a process each is cheap
enough.
"""

import os
import shutil
import subprocess

from uuidfs.errors import UuidfsError
from uuidfs.layout.places import Layout

TIMEOUT = 10.0  # seconds; a daemon that takes longer has not answered

# What virsh says where no daemon listens.
_NOBODY = ("Failed to connect socket", "Connection refused")


class NoAnswerError(UuidfsError):
    """A daemon may be running, but did not say what it was asked, or refused what it was told."""


class NobodyError(NoAnswerError):
    """No daemon listens: there is nothing that could be asked."""


class SilentError(NoAnswerError):
    """The daemon did not answer in time: it hangs, or the domain that was asked about does."""


def virsh(layout: Layout, what: str, *command: str, stdin: str = "") -> str:
    """What ``virsh`` prints, without its last line breaks; ``what`` is for the messages.

    ``stdin`` is what the command reads from /dev/stdin. Texts are UTF-8, other bytes escaped as
    Python does. Raises NobodyError where no daemon listens, SilentError where one says nothing for
    TIMEOUT seconds, NoAnswerError for everything else: after the last two a command that changes
    something may have done so.
    """
    program = shutil.which("virsh")
    if program is None:
        raise NoAnswerError(f"cannot {what}: virsh is not installed")
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, and words that virsh cannot take for options
            [program, "--connect", layout.uri, "--quiet", *command],
            capture_output=True,
            input=stdin,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=TIMEOUT,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise SilentError(f"cannot {what}: libvirt did not answer for {TIMEOUT:g} s") from error
    except OSError as error:
        raise NoAnswerError(f"cannot {what}: {error}") from error
    if done.returncode == 0:
        return done.stdout.rstrip("\n")
    message = " ".join(done.stderr.split())
    if any(text in done.stderr for text in _NOBODY):
        raise NobodyError(f"cannot {what}: {message}")
    raise NoAnswerError(f"cannot {what}: libvirt says: {message}")


def _environment() -> dict[str, str]:
    """No more than a session's daemon is found by, in a fixed language."""
    passed = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    return {
        "LC_ALL": "C",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        **{key: os.environ[key] for key in passed if key in os.environ},
    }
