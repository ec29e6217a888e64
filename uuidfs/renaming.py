"""``uuidfs rename`` of a domain that is shut off: libvirt's own rename, under the lock."""

import time

from uuidfs.errors import Refused, UsageError, UuidfsError, show
from uuidfs.layout import Layout
from uuidfs.locks import Locks
from uuidfs.names import refusal
from uuidfs.trip import TripResult, catch_up
from uuidfs.virt import connect, doing, find


def rename(layout: Layout, old: str, new: str, lock_timeout: float) -> TripResult:
    """Rename, then bring files and links to the new name.

    Raises UsageError, Busy, or what libvirt says; then the domain has its old name.
    """
    began = time.monotonic()
    if (why := refusal(new)) is not None:
        raise UsageError(f"{show(new)!r}: {why}")
    host = connect(layout.uri)
    try:
        domain = find(host, old)
        if domain is None:
            raise UsageError(f"libvirt has no domain {show(old)!r}")
        uuid = str(domain.UUIDString())
        with Locks(layout, lock_timeout).hold(uuid), doing(f"rename {old}"):
            if domain.isActive():
                raise UuidfsError(f"{show(old)} is running: use --live, or shut it down first")
            if domain.hasManagedSaveImage():
                raise Refused(
                    old,
                    "a domain with a managed save cannot be renamed",
                    f"start it, or: virsh managedsave-remove {old}",
                )
            domain.rename(new)
    finally:
        host.close()
    catch_up(layout, uuid)
    return TripResult(new, uuid, time.monotonic() - began, where="renamed")
