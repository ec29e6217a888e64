"""Whether the next start of a domain would execute another program than it runs now.

libvirt starts what ``<emulator>`` says, and writes that path into each config when it is defined
(9.0 and 11.3). What runs may be another file in good order: the path may be a symlink, a script
such as Debian's former kvm-spice, or a small program that executes the real one, as NixOS has it.
"""

import os
import stat
from typing import Any

from uuidfs.outdated.contents import Contents, File
from uuidfs.outdated.process import Running
from uuidfs.outdated.results import Reason, ReasonKind

_LINKS = 40  # symlinks in a row that the kernel follows, path_resolution(7)


def emulator_in(domain: Any) -> str | None:  # an lxml element; its stubs know only private types
    """The path that a domain's element names; None without one."""
    text = domain.findtext("devices/emulator")
    return text if text and text.startswith("/") else None


def changed(wanted: str, live: str | None, running: Running, contents: Contents) -> Reason | None:
    """Why a domain whose config says ``wanted``, and that was started as ``live``, is outdated.

    None where both lead to the program that runs, and where that cannot be told: for a script, or
    a wrapper that is as old as the process. A binary that was replaced at its own path is no
    change of the emulator (:meth:`Running.reason` finds it). Raises OSError.
    """
    if os.path.realpath(wanted) == running.binary_path().removesuffix(" (deleted)"):
        return None
    try:
        now = File(wanted)
    except (FileNotFoundError, NotADirectoryError):
        return Reason(ReasonKind.EMULATOR_MISSING, wanted)
    with now, running.binary() as binary:
        if contents.build(now) is None:
            return None  # no ELF file: what a script executes is known when it runs
        if contents.same(now, binary):
            return None
    if wanted == live and not _changed_since(wanted, running.since):
        return None
    return Reason(ReasonKind.EMULATOR_CHANGED, wanted)


def _changed_since(path: str, since: int) -> bool:
    """Whether the file, or a symlink that leads to it, was put there after that time.

    By ctime, which nobody sets: a package brings its files with an mtime of their build.
    """
    for _ in range(_LINKS):
        found = os.lstat(path)
        if found.st_ctime_ns > since:
            return True
        if not stat.S_ISLNK(found.st_mode):
            break
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    return False
