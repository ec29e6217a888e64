"""What the hook does about a domain's firmware, just before libvirt opens or makes the file.

libvirt (9.0 to 12.8) runs the hook before it makes a missing NVRAM from its template. So a file
that is another domain's is taken from the path here, and libvirt makes a new one; and a domain
whose definition was written anew with libvirt's own path finds its file there. The hook loads
this: neither lxml nor libvirt.
"""

from uuidfs.errors import Changed
from uuidfs.files.directory import Directory, opened
from uuidfs.files.entry import Entry
from uuidfs.firmware import kept
from uuidfs.firmware.apply_files import link_as, take_name
from uuidfs.firmware.names import (
    Firmware,
    as_written,
    called_after,
    place_of,
    word_of,
)
from uuidfs.firmware.on_stdin import named
from uuidfs.layout.names import config_target, is_uuid, refusal
from uuidfs.layout.places import Kind, Layout
from uuidfs.survey.identity import MAX_BYTES, Identity, read_expat


def settle(layout: Layout, name: str, uuid: str, data: bytes) -> tuple[str, ...]:
    """See to it that each path leads to the domain's own file, or to none.

    Returns what was done, in words. Raises Changed, OSError, UuidfsError: then libvirt starts the
    domain with what is there.
    """
    said = []
    for one in named(layout, name, data):
        place = place_of(layout, one.kind)
        above, _, entry = one.path.rpartition("/")
        if above != as_written(layout, place) or word_of(one.kind, entry) is None:
            continue
        directory = opened(place)
        if directory is None:
            continue
        with directory:
            done = _one(layout, name, uuid, one.kind, directory, entry)
        if done is not None:
            said.append(done)
    return tuple(said)


def _one(
    layout: Layout, name: str, uuid: str, kind: Firmware, directory: Directory, entry: str
) -> str | None:
    own = called_after(kind, entry, uuid)
    there, noted = directory.look(entry), kept.kept(layout, uuid, kind)
    mine = directory.look(own) if entry != own else None
    if there is None:
        if not _gets_back(layout, name, uuid, kind, directory, entry):
            return None  # libvirt makes a new one
        return f"{directory.at(entry)} is the domain's own file again"
    if not there.is_file or there.same_inode(mine) or there.same_inode(noted):
        return None
    owner = _owner(layout, uuid, kind, directory, entry, there)
    if owner is None and (mine is not None or noted is not None):
        owner = _by_its_name(layout, name, uuid, kind, entry, there)
    # Also where the owner runs, and was started with this very name. QEMU (7.2) opens its file by
    # name again when it goes to sleep for a migration; but two guests on one file is worse.
    if owner is None or owner == uuid:
        return None
    theirs = called_after(kind, entry, owner)
    if entry == theirs:
        return None  # somebody has copied the definition; check tells of it
    if not there.same_inode(directory.look(theirs)):
        try:
            link_as(directory, entry, theirs, there)
        except Changed:
            return None  # nobody knows which of the two is the owner's
    take_name(layout, uuid, directory, entry, there)
    _gets_back(layout, name, uuid, kind, directory, entry, taken=True)
    return f"{directory.at(entry)} was the file of {owner}, which has it as {theirs} now"


def _gets_back(
    layout: Layout,
    name: str,
    uuid: str,
    kind: Firmware,
    directory: Directory,
    entry: str,
    *,
    taken: bool = False,
) -> bool:
    """Have a path that leads nowhere lead to the domain's file, if it has one; tells whether.

    ``taken``: another domain's file was there.
    """
    own = called_after(kind, entry, uuid)
    mine, noted = directory.look(own) if entry != own else None, kept.kept(layout, uuid, kind)
    if mine is not None:
        if mine.is_file:
            link_as(directory, own, entry, mine)
        return mine.is_file
    if noted is None or _owner(layout, uuid, kind, directory, entry, noted) is not None:
        return False  # left to another domain since
    if (
        taken
        or word_of(kind, entry) not in {name, uuid}
        or _renamed(layout, name, uuid)
        or _has_a_name(kind, directory, noted)
    ):
        kept.give(layout, uuid, kind, directory, entry)
        return True
    return False  # removed by a person, who wants a new one


def _has_a_name(kind: Firmware, directory: Directory, noted: Entry) -> bool:
    """Whether the file that is noted as the domain's has another name: it was renamed."""
    return noted.ino in directory.inodes() and any(
        word_of(kind, entry) is not None and noted.same_inode(directory.look(entry))
        for entry in directory.list()
    )


def _owner(
    layout: Layout, uuid: str, kind: Firmware, directory: Directory, entry: str, file: Entry
) -> str | None:
    """The domain that has the same file, by our links or by its name beside it.

    Of a domain that was undefined with --keep-nvram somebody wants the file to stay where it is.
    """
    if file.nlink < 2:
        return None
    noted = kept.all_owners(layout).get((file.dev, file.ino), set())
    owner = next((other for other in sorted(noted - {uuid}) if _is_known(layout, other)), None)
    if owner is not None or uuid in noted or file.ino not in directory.inodes():
        return owner  # names that are made of the UUID QEMU's user can make, too
    for other in directory.list():
        word = word_of(kind, other)
        if (
            word is not None
            and other != entry
            and word != uuid
            and is_uuid(word)
            and file.same_inode(directory.look(other))
            and _is_known(layout, word)
        ):
            return word
    return None


def _by_its_name(
    layout: Layout, name: str, uuid: str, kind: Firmware, entry: str, file: Entry
) -> str | None:
    """Whose a file is that nobody has noted, at the path of a domain that has another file.

    It is of the domain of that name, if that has run: so it is where the path is the former name
    of ours. Where it is our new name, it is of the domain that had that name before.
    """
    word = word_of(kind, entry) or ""
    if word != name:
        other = _uuid_of(layout, word)
        return other if other != uuid and other is not None and _has_run(layout, other) else None
    if not _renamed(layout, name, uuid):
        return None
    return min(kept.all_owners(layout).get((file.dev, file.ino), {uuid}))


def _uuid_of(layout: Layout, name: str) -> str | None:
    """The UUID of the domain of this name."""
    configs = opened(layout.names[Kind.CONFIG])
    if configs is None or refusal(name) is not None:
        return None
    with configs:
        text = configs.link_text(f"{name}.xml")
        if text is not None:
            return config_target(text)
        data = configs.read(f"{name}.xml", MAX_BYTES)
    identity = read_expat(data) if data is not None else ""
    return identity.uuid if isinstance(identity, Identity) and identity.name == name else None


def _has_run(layout: Layout, uuid: str) -> bool:
    """Whether there is a log of it: the hook makes one at each start."""
    logs = opened(layout.stores[Kind.LOG])
    if logs is None:
        return False
    with logs:
        return logs.look(f"{uuid}.log") is not None


def _renamed(layout: Layout, name: str, uuid: str) -> bool:
    """Whether libvirt has renamed the domain since uuidfs has last seen it."""
    configs, store = opened(layout.names[Kind.CONFIG]), opened(layout.stores[Kind.CONFIG])
    if configs is None or store is None:
        for directory in filter(None, (configs, store)):
            directory.close()
        return False
    with configs, store:
        if configs.link_text(f"{name}.xml") is not None:
            return False
        data = store.read(f"{uuid}.xml", MAX_BYTES)
    identity = read_expat(data) if data is not None else ""
    return isinstance(identity, Identity) and identity.name != name


def _is_defined(layout: Layout, uuid: str) -> bool:
    """Whether a domain that was converted has this UUID."""
    store = opened(layout.stores[Kind.CONFIG])
    if store is None:
        return False
    with store:
        return store.look(f"{uuid}.xml") is not None


def _runs(layout: Layout, uuid: str) -> bool:
    """Whether there is a status XML of a domain."""
    status = opened(layout.status)
    if status is None:
        return False
    with status:
        return any(
            uuid.encode() in (status.read(entry, MAX_BYTES) or b"")
            for entry in status.list()
            if entry.endswith(".xml")
        )


def _is_known(layout: Layout, uuid: str) -> bool:
    """Whether it was converted, or runs: a transient domain has no config."""
    return _is_defined(layout, uuid) or _runs(layout, uuid)
