"""What libvirt does not take along when a domain moves, kept on disk until it is home again.

libvirt refuses to migrate a domain that has snapshots, and undefines it for a live rename. So
their metadata is written to /var/lib/libvirt/by-uuid/aside/UUID.json, which survives a power
cut, before it is taken out of libvirt; and removed once libvirt has it again.
"""

from typing import Any, NamedTuple

from uuidfs.errors import Refused, SystemCallFailed, UuidfsError
from uuidfs.files import change
from uuidfs.files.directory import existing, opened
from uuidfs.files.small import write_whole
from uuidfs.layout.places import Layout
from uuidfs.localmigration.connection import doing, module
from uuidfs.runtime.records import parse_record, record_bytes
from uuidfs.runtime.sessions import aside as aside_place

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


def path_of(layout: Layout, uuid: str) -> str:
    """The file of one domain."""
    return f"{aside_place(layout).path}/{uuid}.json"


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
        )


def keep(layout: Layout, uuid: str, aside: SetAside) -> None:
    """Write it, durable when this returns. Raises SystemCallFailed or Refused."""
    place = aside_place(layout)
    try:
        change.make_path(place.path, 0o700)
        with existing(place) as directory:
            data = record_bytes(aside._asdict())
            write_whole(directory, f"{uuid}.json", data, mode=0o600, durable=True)
    except OSError as error:
        raise SystemCallFailed("keep", path_of(layout, uuid), error) from error


def kept(layout: Layout, uuid: str) -> SetAside | None:
    """What is kept of a domain. Raises Refused when it cannot be read."""
    directory = opened(aside_place(layout))
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
    place = aside_place(layout)
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

    Nothing goes that is not kept, as it is: what was made or changed since is kept first, and
    what somebody else deleted meanwhile is not kept any longer. Returns what is kept. Raises
    UuidfsError; then ``put_back`` has all of it.
    """
    gone: set[str] = set()
    for _ in range(_ROUNDS):
        # Again after each round, since libvirt tells nobody what others do to it meanwhile.
        kept = _kept_now(layout, uuid, domain, kept, frozenset(gone))
        with doing(f"set the metadata of {domain.name()} aside"):
            listed = _children_first(domain)
            if not listed:
                return kept
            for one in listed:
                if not _taken(one, kept):
                    break
                gone.add(one.key)
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


def _taken(one: _Listed, kept: SetAside) -> bool:
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
    return True


def _kept_now(
    layout: Layout, uuid: str, domain: Any, kept: SetAside, gone: frozenset[str]
) -> SetAside:
    """Keep what libvirt has now, and of what was kept only what we took out ourselves."""
    now = look(domain, kept.new_name, kept.emulator)
    taken = [tuple(x for x in xmls if f"{kind} {_name(x)}" in gone) for kind, xmls in _both(kept)]
    merged = kept._replace(
        checkpoints=now.checkpoints + taken[0],
        snapshots=now.snapshots + taken[1],
        # Once a leaf is out, libvirt calls another one the current one.
        current=now.current if not gone or now.current not in _names(kept) else kept.current,
        autostart=now.autostart,
        config=now.config,
    )
    if merged != kept:
        keep(layout, uuid, merged)
    return merged


def _both(kept: SetAside) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return ("checkpoint", kept.checkpoints), ("snapshot", kept.snapshots)


def _names(kept: SetAside) -> set[str | None]:
    return {None, *(_name(xml) for xml in kept.snapshots)}


def _name(xml: str) -> str:
    from uuidfs.localmigration.domain_xml import parse

    return str(parse(xml).findtext("name"))


def put_back(domain: Any, aside: SetAside) -> None:
    """Define again what libvirt does not have; what it has by now is newer."""
    from uuidfs.localmigration.domain_xml import parse, renamed_inside, set_emulator_text

    libvirt = module()
    with doing(f"put the metadata of {domain.name()} back"):
        # After a rename that failed it has its old name.
        new_name = aside.new_name if domain.name() == aside.new_name else None
        there = {s.getName() for s in domain.listAllSnapshots()}
        for xml in aside.snapshots:
            name = parse(xml).findtext("name")
            if name in there:
                continue
            flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
            if name == aside.current:
                flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
            domain.snapshotCreateXML(renamed_inside(xml, new_name), flags)
        there = {c.getName() for c in domain.listAllCheckpoints()}
        for xml in aside.checkpoints:
            if parse(xml).findtext("name") not in there:
                domain.checkpointCreateXML(
                    renamed_inside(xml, new_name), libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE
                )
        # Where the guest did not come to run under the other binary, the config stays as it is.
        if (
            aside.config is not None
            and aside.emulator is not None
            and (parse(domain.XMLDesc()).findtext("devices/emulator") == aside.emulator)
        ):
            config = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
            changed = set_emulator_text(config, aside.emulator)
            if changed is not None:
                domain.connect().defineXML(changed)
        if aside.autostart and not domain.autostart():
            domain.setAutostart(1)
