"""Renames a domain that is off. virsh does it, so libvirt-python is not needed."""

import time

from uuidfs.errors import NoSuchDomain, Refused, UsageError, UuidfsError, show
from uuidfs.host.virsh import virsh
from uuidfs.layout.names import refusal
from uuidfs.layout.places import Layout
from uuidfs.localmigration.migrate import catch_up
from uuidfs.localmigration.results import RENAMED, TripResult
from uuidfs.runtime.domain_locks import Locks
from uuidfs.survey.resolve import resolve


def rename(layout: Layout, old: str, new: str, lock_timeout: float) -> TripResult:
    """Rename, then bring files and links to the new name. ``lock_timeout`` in seconds.

    libvirt is asked by UUID: virsh takes a word of digits for the number of a running domain.
    Raises UsageError, AmbiguousDomain, Busy, Refused, or what libvirt says; then the domain has its
    old name, but after SilentError libvirt may still rename it.
    """
    began = time.monotonic()
    if (why := refusal(new)) is not None:
        raise UsageError(f"{show(new)!r}: {why}")
    try:
        uuid, name = resolve(layout, old)
    except NoSuchDomain as error:
        raise UsageError(str(error)) from None  # as local-migrate says it
    what = f"rename {show(name or old)}"
    with Locks(layout, lock_timeout).hold(uuid):
        _refuse(layout, what, uuid, name or old)
        virsh(layout, what, "domrename", uuid, f"--new-name={new}")
    catch_up(layout, uuid)
    return TripResult(new, uuid, time.monotonic() - began, where=RENAMED, outcome=RENAMED)


def _refuse(layout: Layout, what: str, uuid: str, name: str) -> None:
    """What libvirt would refuse, too, with what to do.

    Not by dominfo: the first one asks every emulator of the host what it can (libvirt 9.0), which
    takes longer than a rename may.
    """
    if uuid in virsh(layout, what, "list", "--uuid").split():
        raise UuidfsError(f"{show(name)} is running: use --live, or shut it down first")
    if uuid in virsh(layout, what, "list", "--all", "--uuid", "--with-managed-save").split():
        raise Refused(
            name,
            "a domain with a managed save cannot be renamed",
            f"start it, or: virsh managedsave-remove {name}",
        )
