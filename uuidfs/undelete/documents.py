"""The documents of a domain that is to come back, as libvirt is given them."""

from collections.abc import Mapping
from typing import NamedTuple

from uuidfs.errors import Refused, UuidfsError
from uuidfs.files.directory import existing
from uuidfs.host.redefine import parents_first, parse, renamed, renamed_inside, text_of
from uuidfs.layout.places import Kind
from uuidfs.survey.identity import MAX_BYTES, Identity
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scan import Problem
from uuidfs.undelete.candidates import Candidate, Part


class Documents(NamedTuple):
    """What libvirt is given: the definition, and parents first the rest. ``current`` is the name
    of a snapshot. ``parts``: by kind and name, where each came from. ``left``: what is no document
    of this domain, and stays in the trash."""

    config: str
    snapshots: tuple[str, ...]
    checkpoints: tuple[str, ...]
    current: str | None
    parts: Mapping[tuple[Kind, str], Part]
    left: tuple[Problem, ...]

    def of(self, kind: Kind) -> tuple[str, ...]:
        """The snapshots, or the checkpoints."""
        return self.snapshots if kind is Kind.SNAPSHOT else self.checkpoints

    def under(self, name: str) -> "Documents":
        """The same for the domain under another name."""
        return self._replace(
            config=renamed(self.config, name),
            snapshots=tuple(renamed_inside(xml, name) for xml in self.snapshots),
            checkpoints=tuple(renamed_inside(xml, name) for xml in self.checkpoints),
        )


def read(candidate: Candidate) -> Documents:
    """Read them from the trash. Raises UuidfsError when the definition cannot be read."""
    left: list[Problem] = []
    parts: dict[tuple[Kind, str], Part] = {}
    config = _text(candidate, candidate.config, "domain")
    texts: dict[Kind, list[str]] = {Kind.SNAPSHOT: [], Kind.CHECKPOINT: []}
    for kind, found in texts.items():
        for part in candidate.of(kind):
            try:
                text = _text(candidate, part, f"domain{kind.value}")
                found.append(text)
                parts[kind, text_of(text, "name")] = part
            except UuidfsError as error:
                left.append(Problem(part.path, error.reason))
    current = [text_of(xml, "name") for xml in texts[Kind.SNAPSHOT] if _is_current(xml)]
    return Documents(
        config,
        tuple(parents_first(texts[Kind.SNAPSHOT])),
        tuple(parents_first(texts[Kind.CHECKPOINT])),
        current[0] if len(current) == 1 else None,
        parts,
        tuple(left),
    )


def _is_current(xml: str) -> bool:
    """What libvirt (9.0 to 12.8) writes of the current snapshot, besides what it tells."""
    return text_of(xml, "active").strip() == "1"


def _text(candidate: Candidate, part: Part, root: str) -> str:
    with existing(part.place) as directory:
        found = directory.look(part.file)
        data = directory.read(part.file, MAX_BYTES, found)
        owner = directory.status().st_uid
    if found is None or data is None:
        raise Refused(part.path, "it is gone")
    if found.uid != owner:
        raise Refused(part.path, f"it belongs to uid {found.uid}, so libvirt did not write it")
    identity = read_lxml(data)
    if not isinstance(identity, Identity):
        raise Refused(part.path, identity)
    if identity.root != root or identity.uuid not in {None, candidate.uuid}:
        raise Refused(part.path, f"it is a <{identity.root}> of {identity.uuid}")
    try:
        text = data.decode()
        parse(text)
    except UnicodeDecodeError as error:
        raise Refused(part.path, "it is not UTF-8") from error
    return text
