"""What libvirt does not take along when a domain moves, kept on disk until it is home again.

libvirt refuses to migrate a domain that has snapshots, and undefines it for a live rename. So
their metadata is written to /var/lib/libvirt/by-uuid/aside/UUID.json, which survives a power
cut, before it is taken out of libvirt; and removed once libvirt has it again.
"""

import contextlib
from typing import Any, NamedTuple

from uuidfs.errors import Refused, SystemCallFailed, UuidfsError
from uuidfs.files import change
from uuidfs.files.directory import opened
from uuidfs.files.small import write_whole
from uuidfs.host.redefine import Back, renamed_inside
from uuidfs.layout.places import Kind, Layout
from uuidfs.localmigration import domain_xml
from uuidfs.localmigration.connection import doing, module
from uuidfs.runtime.aside import path_of
from uuidfs.runtime.records import parse_record, record_bytes

_ROUNDS = 20  # changes of them by others, before that is an error

# VIR_ERR_NO_DOMAIN_SNAPSHOT, VIR_ERR_NO_DOMAIN_CHECKPOINT
_WENT = frozenset({72, 103})

_LIMIT = 1 << 28  # bytes: thousands of snapshots of 100 kB


class SetAside(NamedTuple):
    """Documents parents first; ``current`` is a snapshot's name. ``config`` is the persistent
    one, None for a transient domain."""

    name: str
    new_name: str | None = None
    emulator: str | None = None
    snapshots: tuple[str, ...] = ()
    current: str | None = None
    checkpoints: tuple[str, ...] = ()
    autostart: bool = False
    config: str | None = None
    autostart_once: bool = False


def look(domain: Any, new_name: str | None, emulator: str | None) -> SetAside:
    """Read all of it from libvirt; changes nothing."""
    libvirt = module()
    with doing(f"read the metadata of {domain.name()}"):
        snapshots = domain.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)
        checkpoints = domain.listAllCheckpoints(libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL)
        persistent = bool(domain.isPersistent())
        return SetAside(
            domain.name(),
            new_name,
            emulator,
            tuple(s.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE) for s in snapshots),
            domain.snapshotCurrent().getName() if domain.hasCurrentSnapshot() else None,
            tuple(c.getXMLDesc(libvirt.VIR_DOMAIN_CHECKPOINT_XML_SECURE) for c in checkpoints),
            bool(domain.autostart()) if persistent else False,
            domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
            if persistent
            else None,
            persistent and _starts_once(domain),
        )


def _starts_once(domain: Any) -> bool:
    """``virsh autostart --once``, from libvirt 11.2 on."""
    asked = getattr(domain, "autostartOnce", None)
    return bool(asked()) if asked is not None else False


def keep(layout: Layout, uuid: str, aside: SetAside) -> None:
    """Write it, durable when this returns. Raises SystemCallFailed or Refused."""
    place = layout.aside
    data = record_bytes(aside._asdict())
    try:
        # Another trip's ``drop`` removes the directory while it is empty: also between these two.
        while True:
            change.make_path(place.path, 0o700)
            directory = opened(place)
            if directory is None:
                continue
            with directory, contextlib.suppress(FileNotFoundError):
                write_whole(directory, f"{uuid}.json", data, mode=0o600, durable=True)
                return
    except OSError as error:
        raise SystemCallFailed("keep", path_of(layout, uuid), error) from error


def kept(layout: Layout, uuid: str) -> SetAside | None:
    """What is kept of a domain. Raises Refused when it cannot be read."""
    directory = opened(layout.aside)
    if directory is None:
        return None
    with directory:
        data = directory.read(f"{uuid}.json", _LIMIT)
    try:
        return parse_record(data, SetAside) if data is not None else None
    except ValueError as error:
        raise Refused(path_of(layout, uuid), f"this cannot be read: {error}") from error


def drop(layout: Layout, uuid: str) -> None:
    """Forget it."""
    place = layout.aside
    directory = opened(place)
    if directory is None:
        return
    with directory:
        for name in (f"{uuid}.json", f".{uuid}.json.uuidfs"):  # the latter after a kill in keep()
            change.unlink(directory, name)
    above = opened(place.parent)
    if above is not None:
        with above:
            change.remove_directory(above, "aside")  # unless another domain's is there


def take_out(layout: Layout, uuid: str, domain: Any, kept: SetAside) -> SetAside:
    """Take the metadata out of libvirt, children first; the disks' contents stay.

    Nothing goes that is not kept, as it is. Where somebody else changes something meanwhile, all
    of it goes back, and what is kept is read again: so nothing new is lost, and nothing comes
    back that was deleted. Returns what is kept. Raises UuidfsError; then ``put_back`` has all
    of it.
    """
    for _ in range(_ROUNDS):
        now = look(domain, kept.new_name, kept.emulator)
        if now != kept:
            keep(layout, uuid, now)
        kept = now
        gone: set[str] = set()
        with doing(f"set the metadata of {domain.name()} aside"):
            # Once more at the end, since libvirt tells nobody what others have made meanwhile.
            if all(
                _taken(one, kept, gone) for one in _children_first(domain)
            ) and not _children_first(domain):
                return kept
        put_back(layout, domain, kept, frozenset(gone))
    raise UuidfsError(f"the metadata of {domain.name()} changes all the time")


def has_metadata(domain: Any) -> bool:
    """Whether libvirt has any of it now."""
    with doing(f"look for metadata of {domain.name()}"):
        return bool(_children_first(domain))


class _Listed(NamedTuple):
    """A snapshot or checkpoint of libvirt's, with the flags for its XML and for metadata only."""

    key: str
    item: Any
    secure: int
    only: int


def _children_first(domain: Any) -> list[_Listed]:
    libvirt = module()
    checkpoints = domain.listAllCheckpoints(libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL)
    snapshots = domain.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)
    return [
        _Listed(
            f"checkpoint {one.getName()}",
            one,
            libvirt.VIR_DOMAIN_CHECKPOINT_XML_SECURE,
            libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY,
        )
        for one in reversed(checkpoints)
    ] + [
        _Listed(
            f"snapshot {one.getName()}",
            one,
            libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE,
            libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY,
        )
        for one in reversed(snapshots)
    ]


def _taken(one: _Listed, kept: SetAside, gone: set[str]) -> bool:
    """Take one out; False, and it stays, when it is not kept as it is, has gone or got a child."""
    libvirt = module()
    try:
        if one.item.getXMLDesc(one.secure) not in (*kept.checkpoints, *kept.snapshots):
            return False
        if one.item.listAllChildren():
            return False
        one.item.delete(one.only)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _WENT:
            return False  # somebody else deleted it: it must not come back
        raise
    gone.add(one.key)
    return True


def put_back(
    layout: Layout, domain: Any, aside: SetAside, only: frozenset[str] | None = None
) -> None:
    """Define again what libvirt does not have; what it has by now is newer.

    ``only``: the keys of what was taken out; None for all that is kept.
    """
    libvirt = module()
    with doing(f"put the metadata of {domain.name()} back"):
        # After a rename that failed it has its old name.
        renamed = aside.new_name is not None and domain.name() == aside.new_name
        _snapshots_back(layout, domain, aside, only, aside.new_name if renamed else None)
        _checkpoints_back(layout, domain, aside, only, aside.new_name if renamed else None)
        # Where the guest did not come to run under the other binary, the config stays as it is.
        if (
            aside.config is not None
            and aside.emulator is not None
            and (domain_xml.parse(domain.XMLDesc()).findtext("devices/emulator") == aside.emulator)
        ):
            config = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
            changed = domain_xml.set_emulator_text(config, aside.emulator)
            if changed is not None:
                domain.connect().defineXML(changed)
        # Only a rename takes it away: without one, whoever disabled it meanwhile wants that.
        if aside.autostart and aside.new_name is not None and not domain.autostart():
            domain.setAutostart(1)
        if aside.autostart_once and aside.new_name is not None and not _starts_once(domain):
            domain.setAutostartOnce(1)


def _saved(layout: Layout, kind: Kind, domain: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Those of ``known`` that libvirt has in a file of their name.

    libvirt writes NAME.xml.new first, and reads every file there when it starts (9.0 to 12.8). So
    after a crash between the two it may have one that no NAME.xml says: that comes back, too."""
    directory = opened(layout.name_place(kind, domain.name()))
    if directory is None:
        return {}
    with directory:
        files = frozenset(directory.list())
    return {name: one for name, one in known.items() if f"{name}.xml" in files}


def _may_fail(known: bool) -> contextlib.AbstractContextManager[None]:
    """What libvirt has in any case it may refuse: a snapshot, say, where there is a checkpoint."""
    return contextlib.suppress(module().libvirtError) if known else contextlib.nullcontext()


def _snapshots_back(
    layout: Layout, domain: Any, aside: SetAside, only: frozenset[str] | None, name: str | None
) -> None:
    libvirt = module()
    redefine = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    known = {str(one.getName()): one for one in domain.listAllSnapshots()}
    there = _saved(layout, Kind.SNAPSHOT, domain, known)
    current = domain.snapshotCurrent().getName() if domain.hasCurrentSnapshot() else None
    back = Back("snapshot", aside.snapshots, there, only)
    # One that somebody made meanwhile stays the current one.
    wanted = aside.current if current is None or current in back.kept else current
    for key, xml in back.missing():
        flags = redefine | (libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if key == wanted else 0)
        with _may_fail(key in known):
            domain.snapshotCreateXML(renamed_inside(xml, name), flags)
    for one, xml in back.orphans(aside.current, libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE):
        flags = redefine | (libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if one == current else 0)
        domain.snapshotCreateXML(xml, flags)


def _checkpoints_back(
    layout: Layout, domain: Any, aside: SetAside, only: frozenset[str] | None, name: str | None
) -> None:
    libvirt = module()
    redefine = libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE
    known = {str(one.getName()): one for one in domain.listAllCheckpoints()}
    there = _saved(layout, Kind.CHECKPOINT, domain, known)
    back = Back("checkpoint", aside.checkpoints, there, only)
    for key, xml in back.missing():
        with _may_fail(key in known):
            domain.checkpointCreateXML(renamed_inside(xml, name), redefine)
    newest = list(back.kept)[-1] if back.kept else None
    for _, xml in back.orphans(newest, libvirt.VIR_DOMAIN_CHECKPOINT_XML_SECURE):
        domain.checkpointCreateXML(xml, redefine)
