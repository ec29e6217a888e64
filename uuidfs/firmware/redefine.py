"""Has libvirt change paths: in a domain's definition, its snapshots and its managed save.

All by virsh, as an administrator would. libvirt (9.0 to 12.8) takes another NVRAM path in each of
them, also while the domain runs: what runs keeps its own until it is off.
"""

from typing import NamedTuple

from uuidfs.errors import UuidfsError
from uuidfs.firmware.paths import claims_of, moved
from uuidfs.host.virsh import virsh
from uuidfs.layout.places import Layout

_TRIES = 5  # definitions that somebody else changes meanwhile


class Change(NamedTuple):
    """Which path is to become which; ``implied`` is for documents that name none."""

    former: str
    path: str
    implied: bool


def redefine(layout: Layout, uuid: str, change: Change) -> bool:
    """Change the definition; tells whether libvirt says the new path now.

    As ``virsh edit`` does, it looks once more before it writes. What somebody writes within the
    milliseconds that are left is lost, as it is with ``virsh edit``. Raises UuidfsError.
    """
    read = ("dumpxml", "--domain", uuid, "--inactive", "--security-info")
    what = f"read the definition of {uuid}"
    for _ in range(_TRIES):
        xml = virsh(layout, what, *read)
        wanted = _changed(layout, xml, change)
        if wanted is None:
            return True
        if virsh(layout, what, *read) == xml:
            virsh(layout, f"define {uuid}", "define", "--file", "/dev/stdin", stdin=wanted)
    return False


def redefine_metadata(layout: Layout, uuid: str, change: Change) -> tuple[str, ...]:
    """Change the snapshots and the managed save; returns those that keep the former path, with the
    reason. Raises UuidfsError where not even a list of them is had."""
    kept: list[str] = []
    listed = virsh(
        layout, f"list the snapshots of {uuid}", "snapshot-list", "--domain", uuid, "--name"
    )
    names = [name for name in listed.split("\n") if name]
    current = _current(layout, uuid) if names else None
    for name in names:
        one = ("--domain", uuid, "--snapshotname", name)
        read = ("snapshot-dumpxml", *one, "--security-info")
        write = ["snapshot-create", "--domain", uuid, "--xmlfile", "/dev/stdin", "--redefine"]
        if name == current:
            write.append("--current")
        kept += _tried(layout, f"snapshot {name!r}", read, tuple(write), change)
    saved = virsh(
        layout, "list managed saves", "list", "--all", "--uuid", "--with-managed-save"
    ).split()
    if uuid in saved:
        kept += _tried(
            layout,
            "the managed save",
            ("managedsave-dumpxml", "--domain", uuid, "--security-info"),
            ("managedsave-define", "--domain", uuid, "--xml", "/dev/stdin"),
            change,
        )
    return tuple(kept)


def _current(layout: Layout, uuid: str) -> str | None:
    try:
        return virsh(
            layout,
            f"ask for the current snapshot of {uuid}",
            *("snapshot-current", "--domain", uuid, "--name"),
        )
    except UuidfsError:
        return None  # there is none


def _tried(
    layout: Layout, what: str, read: tuple[str, ...], write: tuple[str, ...], change: Change
) -> list[str]:
    try:
        wanted = _changed(layout, virsh(layout, f"read {what}", *read), change)
        if wanted is not None:
            virsh(layout, f"redefine {what}", *write, stdin=wanted)
    except UuidfsError as error:
        return [f"{what} names it still ({error.reason})"]
    return []


def _changed(layout: Layout, xml: str, change: Change) -> str | None:
    try:
        return moved(
            layout, xml, {change.former: change.path}, change.path if change.implied else None
        )
    except ValueError as error:
        raise UuidfsError(f"what libvirt said cannot be read: {error}") from error


def runs_with(layout: Layout, uuid: str, path: str) -> bool:
    """Whether a process runs that was started with this path, by libvirt's word.

    QEMU (7.2) opens it again by its name, when it goes to sleep for a migration: another file must
    never lie there meanwhile. Raises UuidfsError.
    """
    xml = virsh(layout, f"read the live XML of {uuid}", "dumpxml", "--domain", uuid)
    try:
        claims = claims_of(layout, xml.encode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise UuidfsError(f"what libvirt said cannot be read: {error}") from error
    return path in {claim.path for claim in claims}
