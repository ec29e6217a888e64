"""The steps that plans are made of: what a dry run prints and apply runs."""

from enum import Enum
from typing import NamedTuple

from uuidfs.files.entry import Entry
from uuidfs.layout.places import STORE, Kind, Layout
from uuidfs.layout.trash_label import Reason
from uuidfs.survey.scan import Problem


class Op(Enum):
    """What a step does; the value is how messages put it."""

    FOLD = "move"
    """The name's regular file goes to the store, a link takes its place."""
    REFOLD = "move over an older version"
    """As FOLD, where the store has an older version, which the name's file replaces."""
    UNFOLD = "move back"
    """The store's file takes the place of the name's link."""
    ADD_LINK = "link"
    """Make the name's link where there is nothing."""
    POINT_LINK = "point the link"
    """Replace a link of ours by one to ``store_entry``."""
    DROP_LINK = "remove the link"
    """Remove a link of ours; a file of metadata must then still have the name ``also``, if
    given, for its directory."""
    MARK = "note that the link was taken"
    """Before a log's link is taken from a domain that has another name now: its own plan then
    knows that libvirt did not delete the log, and links it under its new name."""
    SHARE = "rename in the store"
    """Give the store's file the second name ``also`` there."""
    DROP_STORE = "forget the former name"
    """Remove a store name of an inode that has its other name ``also`` by now."""
    DISCARD = "clean up"
    """Remove from the store what is not needed: placeholder, second name, old version."""
    TRASH = "trash"
    """Rename an unreferenced file of the store into its trash."""
    REFILE = "refile the checkpoint"
    """A checkpoint that domrename wrote into snapshot/NAME goes where libvirt will look
    (libvirt 9.0 and 11.3, docs/libvirt-facts.md "Renaming loses checkpoints")."""
    RETIRE = "trash the deleted checkpoint"
    """A checkpoint that domrename wrote into snapshot/NAME, and that libvirt knows no more: it was
    deleted in the right place, where there was no file."""
    GIVE_BACK = "give back"
    """What libvirt wrote, and a swap took off by mistake before a kill, is ``store_entry``: it goes
    back to the name, where ``expect`` is the version before."""
    RECOVER = "bring back from the trash"
    """The name's link leads nowhere, and the trash has its file, under the label ``also``."""
    RECORD = "remember the directory"
    """The store notes the inode ``also`` of the directory at the name: only in this one a missing
    name will mean that libvirt removed it. Without ``also`` it is the directory in which a step
    before has just made our link."""
    GIVE_ONCE = "mark for one autostart"
    """A renamed domain's mark for one autostart: the name gets a link with the text ``also``."""
    DROP_ONCE = "remove the mark for one autostart"
    """The mark is under a name that its domain has no more; who takes the name must not get it."""
    NOTE_ONCE = "note the mark for one autostart"
    """The store's ``store_entry`` becomes a second name of the mark: ``expect``, or without it the
    one that a step before has just made."""
    PRUNE = "remove the empty directory"
    """Remove the UUID's directory in the store, when it is empty."""


class Step(NamedTuple):
    """One thing to do. ``entry`` is in libvirt's directory, ``store_entry`` in ours.

    ``subdir`` is the domain's name for metadata, else empty. ``expect`` is what the step is
    made for: a regular file or link at the name, or the store's file where there is no name.
    ``reason`` is set for TRASH. ``also`` is what a step needs besides: a second name in the
    store (SHARE, DROP_STORE), or the domain's directory that has to have the file (DROP_LINK).
    ``waiting``: the store's entry is in the waiting room. ``inside``: the inode of the directory at
    the name that was looked at, where QEMU's user can put another one in its place (metadata).
    """

    op: Op
    kind: Kind
    uuid: str
    subdir: str = ""
    entry: str = ""
    store_entry: str = ""
    expect: Entry | None = None
    reason: Reason | None = None
    also: str = ""
    waiting: bool = False
    inside: int = 0

    def path(self, layout: Layout) -> str:
        """The path that changes: the name path, or the UUID path where there is no name."""
        if self.entry:
            return f"{layout.name_place(self.kind, self.subdir).path}/{self.entry}"
        return self.uuid_path(layout)

    def uuid_path(self, layout: Layout) -> str:
        """The path in the store."""
        place = layout.store_place(self.kind, self.uuid)
        place = place.child(STORE) if self.waiting else place
        return f"{place.path}/{self.store_entry}".rstrip("/")

    def describe(self, layout: Layout) -> str:
        """The line that a dry run prints."""
        name, target = self.path(layout), self.uuid_path(layout)
        match self.op:
            case Op.FOLD | Op.REFOLD | Op.ADD_LINK | Op.POINT_LINK | Op.RECOVER:
                return f"{self.op.value}: {name} -> {target}"
            case Op.GIVE_ONCE:
                return f"{self.op.value}: {name} -> {self.also}"
            case Op.UNFOLD:
                return f"{self.op.value}: {target} -> {name}"
            case Op.SHARE:
                return f"{self.op.value}: {target} -> {self.also}"
            case Op.TRASH if self.reason is not None:
                return f"{self.op.value}: {name} ({self.reason.words})"
            case _:
                return f"{self.op.value}: {name}"


class Plan(NamedTuple):
    """Steps in their order, and what is left alone and why."""

    uuid: str
    name: str | None
    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()
