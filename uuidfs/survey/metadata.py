"""Snapshots and checkpoints of one domain: a directory at its name, one in the store."""

from uuidfs.errors import Changed, UuidfsError
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.layout.names import DIRECTORY_MARK, KEEP_TEMP, LINK_TEMP
from uuidfs.layout.places import Kind
from uuidfs.survey.documents import Documents
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.view import Leftover, Pair


class MetadataView:
    """One kind of metadata of one UUID; the attributes are fields of a View.

    ``exists`` tells whether the UUID has a directory in the store. ``inode`` is that of the
    directory at the name, ``home`` that of the one that the store notes. ``is_own``: something in
    it proves it to be the domain's: our link to its file, or a document with its UUID.
    ``is_recorded``: the store notes it, and the directory above. ``is_proven``: a missing name
    means that libvirt removed it.
    """

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self.misfiled: list[Pair] = []
        self.strays: list[Pair] = []
        self.leftovers: list[Leftover] = []
        self.exists = False
        self.inode: int | None = None
        self.home: int | None = None
        self.is_own = False
        self.is_recorded = False
        self.is_proven = False
        self.problems: list[Problem] = []


def view_metadata(
    documents: Documents, scan: Scan, kind: Kind, uuid: str, focus: str | None
) -> MetadataView:
    """Look at one kind of metadata; ``focus`` is the name whose directory is the domain's.

    A directory that cannot be looked at is a problem of this kind alone: nothing is known of its
    files then, and nothing is done to them. Raises Changed when libvirt was faster.
    """
    try:
        return _view(documents, scan, kind, uuid, focus)
    except Changed:
        raise
    except UuidfsError as error:
        nothing = MetadataView()
        nothing.problems.append(Problem(error.path, error.reason, focus))
        return nothing


def _view(
    documents: Documents, scan: Scan, kind: Kind, uuid: str, focus: str | None
) -> MetadataView:
    look = _Look(documents, kind, uuid)
    result = MetadataView()
    apart = [other for k, other in scan.strays.get(uuid, ()) if k is kind]
    subdir = focus or (apart[0] if apart else "")
    here, result.misfiled = look.names(subdir)
    if focus is not None:
        result.inode, result.is_own = look.inode, look.is_own
    kept, result.leftovers, result.exists = look.store()
    if look.recorded is not None and look.recorded.isdigit():
        result.home = int(look.recorded)
    if focus is not None:
        above = documents.dirs.names(kind)
        is_same_kind = above is not None and look.kind_recorded == str(above.inode)
        result.is_recorded = (
            is_same_kind and look.inode is not None and look.recorded == str(look.inode)
        )
        result.is_proven = is_same_kind and (
            look.is_own or result.is_recorded or look.directory_is_gone()
        )
    result.problems = look.problems
    names = scan.names_of.get(uuid, ())
    if not names or (len(names) == 1 and not scan.incomplete):
        for other in apart:
            if other != subdir:
                result.strays += look.strays(other, kept)
    result.pairs = [
        documents.with_trashed(uuid, pair._replace(inside=look.inode or 0))
        for pair in _joined(kind, subdir, here, kept)
    ]
    return result


class _Look:
    def __init__(self, documents: Documents, kind: Kind, uuid: str) -> None:
        self.documents = documents
        self.dirs = documents.dirs
        self.layout = documents.layout
        self.kind = kind
        self.uuid = uuid
        self.problems: list[Problem] = []
        self.inode: int | None = None
        self.is_own = False
        self.recorded: str | None = None
        self.kind_recorded: str | None = None

    def directory_is_gone(self) -> bool:
        """Whether the directory that held our links was removed, which only root can do.

        QEMU's user can rename it, but in its own parent only: moving a directory of root's to
        another one changes what is in it. So its inode would be in this listing.
        """
        above = self.dirs.names(self.kind)
        if above is None or self.recorded is None or not self.recorded.isdigit():
            return False
        return int(self.recorded) not in above.inodes()

    def names(self, subdir: str) -> tuple[list[Pair], list[Pair]]:
        """What lies in libvirt's directory of one domain: pairs without a store side yet,
        and checkpoints that libvirt misfiled there."""
        pairs: list[Pair] = []
        misfiled: list[Pair] = []
        parent = self.dirs.names(self.kind)
        directory = parent.child(subdir) if parent is not None and subdir else None
        if directory is None:
            return pairs, misfiled
        with directory:
            status = directory.status()
            owner = status.st_uid
            if owner not in self.dirs.trusted:
                reason = f"this directory belongs to uid {owner}: libvirt did not make it"
                self.problems.append(Problem(directory.path, reason, subdir))
                return pairs, misfiled
            self.inode = status.st_ino
            for entry in sorted(directory.list()):
                found = directory.look(entry)
                if found is None or entry.endswith(".xml.new"):
                    continue  # libvirt is writing it: it renames that over the name next
                if self._is_misfiled(directory, entry, found):
                    misfiled.append(self._pair(subdir, entry, found))
                else:
                    why_not = self._why_not(directory, entry, found)
                    self.is_own = self.is_own or (why_not is None and found.text is not None)
                    pairs.append(self._pair(subdir, entry, found, why_not))
        return pairs, misfiled

    def _pair(self, subdir: str, entry: str, found: Entry, why_not: str | None = None) -> Pair:
        inside = self.inode or 0
        return Pair(self.kind, subdir, entry, found, entry, None, why_not, inside=inside)

    def _is_misfiled(self, directory: Directory, entry: str, found: Entry) -> bool:
        """A checkpoint of this domain in the snapshots' directory, or our link to one.

        QEMU's user can exchange the directories snapshot and checkpoint, and all checkpoints seem
        to be misfiled: it has to be the former, by what the store notes or by what is in it.
        """
        if self.kind is not Kind.SNAPSHOT:
            return False
        if found.text is not None:
            wanted = self.layout.link_text(Kind.CHECKPOINT, self.uuid, entry)
            return found.text == wanted and self._snapshots_are_there()
        if self._not_libvirts(entry, found) is not None:
            return False
        identity = self.documents.identify(directory, entry, found)
        return (
            not isinstance(identity, str)
            and identity.root == "domaincheckpoint"
            and identity.uuid in {self.uuid, None}
            and self._snapshots_are_there()
        )

    def _snapshots_are_there(self) -> bool:
        from uuidfs.survey.exchanged import snapshots_are_there  # rare, and the hook has no time

        return snapshots_are_there(self.documents)

    def _why_not(self, directory: Directory, entry: str, found: Entry) -> str | None:
        """Why a file is left alone; None for one of this kind and domain, and for our link."""
        if found.text is not None:
            if found.text == self.layout.link_text(self.kind, self.uuid, entry):
                return None
            return "it is a symlink that uuidfs did not make for this domain"
        if (why := self._not_libvirts(entry, found)) is not None:
            return why
        identity = self.documents.identify(directory, entry, found)
        if isinstance(identity, str):
            return identity
        if identity.uuid not in {self.uuid, None}:
            return f"it belongs to the domain with UUID {identity.uuid}"
        if identity.root != f"domain{self.kind.value}":
            return f"it is a <{identity.root}>"
        self.is_own = self.is_own or identity.uuid == self.uuid
        return None

    def _not_libvirts(self, entry: str, found: Entry) -> str | None:
        if not found.is_file:
            return f"it is {found.noun}, not a regular file"
        if found.uid not in self.dirs.trusted:
            return f"it belongs to uid {found.uid}, so libvirt did not write it"
        if not entry.endswith(".xml"):
            return "its name does not end in .xml, so libvirt did not write it"
        return None

    def strays(self, subdir: str, kept: dict[str, Entry]) -> list[Pair]:
        """Links to this UUID's metadata in a directory whose name no domain has: what is left
        of a rename that was killed while it removed the old name's files, or all that is left
        when somebody moved the directory."""
        other = _Look(self.documents, self.kind, self.uuid)  # what it says is not the domain's
        pairs, _ = other.names(subdir)
        ours = (p for p in pairs if p.at_name is not None and p.at_name.text is not None)
        return [p._replace(in_store=kept.get(p.entry)) for p in ours if p.why_not is None]

    def store(self) -> tuple[dict[str, Entry], list[Leftover], bool]:
        """What lies in our directory of the UUID, what a kill left there, and if it exists."""
        kept: dict[str, Entry] = {}
        temps: list[Leftover] = []
        parent = self.dirs.store(self.kind)
        directory = parent.child(self.uuid) if parent is not None else None
        if parent is None or directory is None:
            return kept, temps, False
        self.kind_recorded = parent.link_text(DIRECTORY_MARK)
        with directory:
            self.dirs.check_store(directory)
            for entry in sorted(directory.list()):
                found = directory.look(entry)
                if found is not None and entry == DIRECTORY_MARK:
                    self.recorded = found.text
                elif found is not None and entry in {LINK_TEMP, KEEP_TEMP}:
                    temps.append(Leftover(self.kind, False, entry, found))
                elif found is not None:
                    kept[entry] = found
        return kept, temps, True


def _joined(kind: Kind, subdir: str, here: list[Pair], kept: dict[str, Entry]) -> list[Pair]:
    """Pair what is at the names with what is in the store, in the order of their names."""
    pairs = {pair.entry: pair._replace(in_store=kept.get(pair.entry)) for pair in here}
    for entry, found in kept.items():
        pairs.setdefault(entry, Pair(kind, subdir, entry, None, entry, found))
    return [pairs[entry] for entry in sorted(pairs)]
