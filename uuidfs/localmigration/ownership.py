"""Gives a guest's disks to its new process again.

The source's daemon takes a guest's files back to root when its process has ended. A guest that
has arrived paused opens its disks for writing when it begins to run; where that is later, it may
not. libvirt has no call for that, so this does what libvirt did when the process started.
"""

import contextlib
import os
from typing import Any

from uuidfs.localmigration.connection import bounded, module
from uuidfs.localmigration.domain_xml import found, parse


def let_run(domain: Any, name: str, owner: tuple[int, int] | None) -> None:
    """Resume a domain. ``owner``: its process's user and group. Raises libvirtError or NoAnswer."""
    libvirt = module()
    try:
        bounded(f"resume {name}", domain.resume)
    except libvirt.libvirtError as error:
        if "Permission denied" not in str(error) or owner is None:
            raise
        _own(domain.XMLDesc(), owner)
        bounded(f"resume {name}", domain.resume)


def _own(xml: str, owner: tuple[int, int]) -> None:
    domain = parse(xml)
    for disk in found(domain, "devices/disk[not(readonly)]"):
        for path in [*found(disk, "source/@file"), *found(disk, "source/@dev")]:
            with contextlib.suppress(OSError):
                os.chown(path, *owner)
