"""Names that have one UUID: whether they can be those of one domain before and after a rename."""

from uuidfs.errors import Changed, Refused
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import TRASH, Kind, Layout
from uuidfs.survey.identity import MAX_BYTES, read_expat
from uuidfs.survey.trashed import with_trashed
from uuidfs.survey.view import Pair


def path_of(layout: Layout, name: str) -> str:
    """Of a name's config, for messages."""
    return f"{layout.names[Kind.CONFIG].path}/{name}.xml"


class Rivals:
    """The configs of rival names, as they were before libvirt was asked."""

    def __init__(self, dirs: TrustedDirs, uuid: str, names: list[str]) -> None:
        self.dirs = dirs
        self.uuid = uuid
        self.directory = dirs.names(Kind.CONFIG)
        self.configs = {name: self._look(name) for name in names}
        self.documents = {name: self._read(name) for name in names}

    def _look(self, name: str) -> Entry:
        found = self.directory.look(f"{name}.xml") if self.directory is not None else None
        if found is None:  # libvirt has finished the rename
            raise Changed(path_of(self.dirs.layout, name))
        return found

    def _read(self, name: str) -> bytes | None:
        """The document that a name opens: its own file, or that of the store, if it has one."""
        found = self.configs[name]
        directory, entry = self.directory, f"{name}.xml"
        if found.text is not None:
            directory, entry = self.dirs.store(Kind.CONFIG), found.text.rpartition("/")[2]
        data = directory.read(entry, MAX_BYTES) if directory is not None else None
        if data is None and found.text is None:
            raise Changed(path_of(self.dirs.layout, name))
        return data

    def _trashed(self, name: str) -> bytes | None:
        """The document of a link that opens nothing, which would come back to it by itself."""
        entry, store = f"{self.uuid}.xml", self.dirs.store(Kind.CONFIG)
        pair = Pair(Kind.CONFIG, "", f"{name}.xml", self.configs[name], entry, None)
        label = with_trashed(self.dirs, self.uuid, pair).trashed
        trash = store.child(TRASH) if store is not None and label is not None else None
        if trash is None or label is None:
            return None
        with trash:
            directory = trash.child(label)
        if directory is None:
            raise Changed(trash.at(label))
        with directory:
            return directory.read(entry, MAX_BYTES)

    def check(self, winner: str, loser: str) -> None:
        """Raise Refused unless the two can be one domain before and after a rename: equal but for
        the name, and the winner has the other one's snapshots. libvirt (9.0 to 12.8) writes those
        first, then the new config with nothing but the name changed. Checkpoints tell nothing: a
        daemon that was restarted after a rename does not know them, and writes none."""
        path = path_of(self.dirs.layout, loser)
        winning, losing = self.documents[winner], self.documents[loser]
        if winning is None:
            reason = f"its file is missing from the store, and {loser!r} has the same UUID"
            advice = f"bring it back; what there is: uuidfs trash list {winner}"
            raise Refused(path_of(self.dirs.layout, winner), reason, advice)
        advice = (
            "one may be a copy of the other: give the copy a UUID of its own, or move it away; "
            "nothing was done to either"
        )
        if losing is None:
            losing = self._trashed(loser)  # without that there is no document to lose
        if losing is not None and not equal_but_for_the_name(winning, losing):
            reason = f"it has the UUID of {winner!r}, and differs from it in more than the name"
            raise Refused(path, reason, advice)
        missing = self._snapshots(loser) - self._snapshots(winner)
        if self.configs[winner].text is not None:
            missing -= self._stored()  # those were deleted under the winner's name since
        if missing:
            reason = f"{winner!r} lacks its snapshot {min(missing)!r}"
            raise Refused(path, reason, advice)

    def _stored(self) -> set[str]:
        parent = self.dirs.store(Kind.SNAPSHOT)
        directory = parent.child(self.uuid) if parent is not None else None
        if directory is None:
            return set()
        with directory:
            return set(directory.list())

    def _snapshots(self, name: str) -> set[str]:
        """The snapshots under a name; a checkpoint that libvirt misfiled there is none."""
        parent = self.dirs.names(Kind.SNAPSHOT)
        directory = parent.child(name) if parent is not None else None
        if directory is None:
            return set()
        with directory:
            return {entry for entry in directory.list() if self._is_snapshot(directory, entry)}

    def _is_snapshot(self, directory: Directory, entry: str) -> bool:
        text = directory.link_text(entry)
        if text is not None:
            return text.startswith(
                self.dirs.layout.link_prefix(Kind.SNAPSHOT, "").rstrip("/") + "/"
            )
        data = directory.read(entry, MAX_BYTES)
        identity = read_expat(data) if data is not None else "it is gone"
        return not isinstance(identity, str) and identity.root == "domainsnapshot"


def equal_but_for_the_name(one: bytes, other: bytes) -> bool:
    """Whether two configs say the same, comments and the domain's name left out."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_blank_text=True,
    )
    texts = []
    for data in (one, other):
        try:
            root = etree.fromstring(data, parser)
        except etree.XMLSyntaxError:
            return False
        for name in root.findall("name"):
            name.text = ""
        texts.append(etree.tostring(root, method="c14n"))
    return texts[0] == texts[1]
