"""Snapshots and checkpoints of one domain: a directory at its name, one in the store."""

from enum import Enum
from typing import NamedTuple

from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.layout.names import KEEP_TEMP, LINK_TEMP
from uuidfs.layout.places import Kind
from uuidfs.survey.documents import Documents
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.view import Leftover, Pair


class Verdict(Enum):
    """What a file in libvirt's directory is."""

    RIGHT = "a file of this kind and domain, or our link to one"
    MISFILED = "a checkpoint in the snapshots' directory"
    FOREIGN = "anything else"


class MetadataView(NamedTuple):
    """One kind of metadata of one UUID; the fields are those of a View.

    ``exists`` tells whether the UUID has a directory in the store.
    """

    pairs: tuple[Pair, ...] = ()
    misfiled: tuple[Pair, ...] = ()
    strays: tuple[Pair, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    exists: bool = False
    problems: tuple[Problem, ...] = ()


def view_metadata(
    documents: Documents, scan: Scan, kind: Kind, uuid: str, focus: str | None
) -> MetadataView:
    """Look at one kind of metadata; ``focus`` is the name whose directory is the domain's.

    Raises Refused or SystemCallFailed when a directory cannot be looked at.
    """
    look = _Look(documents, kind, uuid)
    apart = [other for k, other in scan.strays.get(uuid, ()) if k is kind]
    subdir = focus or (apart[0] if apart else "")
    here, misfiled = look.names(subdir)
    kept, temps, exists = look.store()
    names = scan.names_of.get(uuid, ())
    strays: list[Pair] = []
    if not names or (len(names) == 1 and not scan.incomplete):
        for other in apart:
            if other != subdir:
                strays += look.strays(other, kept)
    return MetadataView(
        tuple(_joined(kind, subdir, here, kept)),
        tuple(misfiled),
        tuple(strays),
        tuple(temps),
        exists,
        tuple(look.problems),
    )


class _Look:
    def __init__(self, documents: Documents, kind: Kind, uuid: str) -> None:
        self.documents = documents
        self.dirs = documents.dirs
        self.layout = documents.layout
        self.kind = kind
        self.uuid = uuid
        self.problems: list[Problem] = []

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
            owner = directory.status().st_uid
            if owner not in self.dirs.trusted:
                reason = f"this directory belongs to uid {owner}: libvirt did not make it"
                self.problems.append(Problem(directory.path, reason, subdir))
                return pairs, misfiled
            for entry in sorted(directory.list()):
                found = directory.look(entry)
                if found is None or entry.endswith(".xml.new"):
                    continue  # libvirt is writing it: it renames that over the name next
                verdict, why_not = self._judge(directory, entry, found)
                pair = Pair(self.kind, subdir, entry, found, entry, None, why_not)
                (misfiled if verdict is Verdict.MISFILED else pairs).append(pair)
        return pairs, misfiled

    def _judge(self, directory: Directory, entry: str, found: Entry) -> tuple[Verdict, str | None]:
        """What it is, and why it is left alone where it is foreign."""
        if found.text is not None:
            if found.text == self.layout.link_text(self.kind, self.uuid, entry):
                return Verdict.RIGHT, None
            why = "it is a symlink that uuidfs did not make for this domain"
        elif not found.is_file:
            why = f"it is {found.noun}, not a regular file"
        elif found.uid not in self.dirs.trusted:
            why = f"it belongs to uid {found.uid}, so libvirt did not write it"
        elif not entry.endswith(".xml"):
            why = "its name does not end in .xml, so libvirt did not write it"
        else:
            return self._judge_document(directory, entry, found)
        return Verdict.FOREIGN, why

    def _judge_document(
        self, directory: Directory, entry: str, found: Entry
    ) -> tuple[Verdict, str | None]:
        identity = self.documents.identify(directory, entry, found)
        if isinstance(identity, str):
            return Verdict.FOREIGN, identity
        if identity.uuid is not None and identity.uuid != self.uuid:
            why = f"it belongs to the domain with UUID {identity.uuid}"
            return Verdict.FOREIGN, why
        if identity.root == f"domain{self.kind.value}":
            return Verdict.RIGHT, None
        if self.kind is Kind.SNAPSHOT and identity.root == "domaincheckpoint":
            return Verdict.MISFILED, None
        return Verdict.FOREIGN, f"it is a <{identity.root}>"

    def strays(self, subdir: str, kept: dict[str, Entry]) -> list[Pair]:
        """Links to this UUID's metadata in a directory whose name no domain has: what is left
        of a rename that was killed while it removed the old name's files, or all that is left
        when somebody moved the directory."""
        told = len(self.problems)
        pairs, _ = self.names(subdir)
        del self.problems[told:]  # it is no directory of this domain's: nothing to report
        ours = (p for p in pairs if p.at_name is not None and p.at_name.text is not None)
        return [p._replace(in_store=kept.get(p.entry)) for p in ours if p.why_not is None]

    def store(self) -> tuple[dict[str, Entry], list[Leftover], bool]:
        """What lies in our directory of the UUID, what a kill left there, and if it exists."""
        kept: dict[str, Entry] = {}
        temps: list[Leftover] = []
        parent = self.dirs.store(self.kind)
        directory = parent.child(self.uuid) if parent is not None else None
        if directory is None:
            return kept, temps, False
        with directory:
            self.dirs.check_store(directory)
            for entry in sorted(directory.list()):
                found = directory.look(entry)
                if found is not None and entry in {LINK_TEMP, KEEP_TEMP}:
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
