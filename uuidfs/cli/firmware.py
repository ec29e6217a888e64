"""The firmware's part of ``uuidfs convert`` and ``uuidfs revert``; imported where there is any."""

from typing import TYPE_CHECKING

from uuidfs.errors import UuidfsError
from uuidfs.firmware.presence import has_firmware
from uuidfs.layout.places import Layout

if TYPE_CHECKING:
    from uuidfs.firmware.results import FirmwareRun

KIND = "nvram"
"""What people write after ``--kind``."""


class LibvirtIsDown(UuidfsError):
    """The definitions can only be changed by the daemon."""


def firmware_run(
    action: str,
    layout: Layout,
    *,
    domains: tuple[str, ...] | None,
    mode: str,
    dry_run: bool,
    lock_timeout: float,
    required: bool = False,
) -> "FirmwareRun | None":
    """Convert or revert; None where there is nothing of it on this host.

    ``required``: raise LibvirtIsDown, when there is something to do and no daemon to do it.
    """
    if not has_firmware(layout):
        return None
    from uuidfs.firmware.plan import Mode
    from uuidfs.firmware.run import FirmwareOptions, convert_firmware, revert_firmware

    options = FirmwareOptions(Mode(mode), domains, dry_run, lock_timeout)
    run = (convert_firmware if action == "convert" else revert_firmware)(layout, options)
    if required and run.waiting and not dry_run:
        raise LibvirtIsDown(
            "libvirt does not run here, and only libvirt may change what definitions say: start it"
        )
    return run
