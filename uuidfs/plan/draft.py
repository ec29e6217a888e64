"""A plan in the making."""

from collections.abc import Container

from uuidfs.files.entry import Entry
from uuidfs.layout.names import log_entry, log_target
from uuidfs.layout.places import STORE, Kind, Layout
from uuidfs.layout.trash_label import Reason
from uuidfs.plan.steps import Op, Plan, Step
from uuidfs.survey.scan import Problem
from uuidfs.survey.view import Leftover, LogName, Pair, View


class Draft:
    """Collects steps and problems about one view."""

    def __init__(self, layout: Layout, view: View) -> None:
        self.layout = layout
        self.view = view
        self.steps: list[Step] = []
        self.problems: list[Problem] = []

    def finish(self) -> Plan:
        problems = (*self.view.problems, *self.problems)
        return Plan(self.view.uuid, self.view.name, tuple(self.steps), problems)

    def leave(self, kind: Kind, subdir: str, entry: str, reason: str) -> None:
        path = f"{self.layout.name_place(kind, subdir).path}/{entry}"
        self.problems.append(Problem(path, reason, self.view.name))

    def add(self, op: Op, pair: Pair, expect: Entry | None, also: str = "") -> None:
        """A step about a name and what belongs to it in the store."""
        self.steps.append(
            Step(
                op,
                pair.kind,
                self.view.uuid,
                pair.subdir,
                pair.entry,
                pair.store_entry,
                expect,
                also=also,
                inside=pair.inside,
            )
        )

    def in_store(
        self,
        op: Op,
        kind: Kind,
        entry: str,
        expect: Entry,
        also: str = "",
        *,
        waiting: bool = False,
    ) -> None:
        """A step about a store's name only."""
        self.steps.append(
            Step(
                op,
                kind,
                self.view.uuid,
                store_entry=entry,
                expect=expect,
                also=also,
                waiting=waiting,
            )
        )

    def trash(
        self, kind: Kind, entry: str, expect: Entry, reason: Reason, *, waiting: bool = False
    ) -> None:
        """A file that no name refers to goes to the trash; what is no file is removed."""
        op = Op.TRASH if expect.is_file else Op.DISCARD
        self.steps.append(
            Step(
                op,
                kind,
                self.view.uuid,
                store_entry=entry,
                expect=expect,
                reason=reason if op is Op.TRASH else None,
                waiting=waiting,
            )
        )


def pairs(view: View) -> list[Pair]:
    """The config and the metadata of a view."""
    return ([view.config] if view.config is not None else []) + list(view.metadata)


IF_IT_STAYS = "if this stays, run: uuidfs check --repair"
"""The end of what report_rivals() says."""


def report_rivals(draft: Draft) -> None:
    """Say of each name that another one has the same UUID."""
    names = " and ".join(repr(name) for name in draft.view.rivals)
    for name in draft.view.rivals:
        draft.problems.append(
            Problem(
                f"{draft.layout.names[Kind.CONFIG].path}/{name}.xml",
                f"the configs of {names} carry one UUID: libvirt is renaming the domain, or was "
                f"killed in a rename; {IF_IT_STAYS}",
                name,
            )
        )


def is_placeholder(layout: Layout, pair: Pair, uuid: str) -> bool:
    """A link at a store's file name, saying what the name's link will say: a fold not done."""
    entry = pair.in_store
    return entry is not None and entry.text == layout.link_text(pair.kind, uuid, pair.store_entry)


def drop_strays(
    draft: Draft,
    refiled: Container[tuple[Kind, str]] = (),
    homes: Container[int] = (),
) -> dict[tuple[Kind, str], Pair]:
    """The domain has another name. Who takes the old one must not get its snapshots.

    ``refiled`` are files that get their names by the steps before. Returns the links that stay:
    no other one leads to their files, or they are in the directory that the store notes as the
    domain's, which only QEMU's user or an administrator can have renamed.
    """
    view, text = draft.view, draft.layout.link_text
    named = {
        (pair.kind, pair.entry)
        for pair in view.metadata
        if pair.at_name is not None
        and (
            (pair.at_name.is_file and pair.why_not is None)
            or pair.at_name.text == text(pair.kind, view.uuid, pair.store_entry)
        )
    }
    lonely: dict[tuple[Kind, str], Pair] = {}
    for pair in view.strays:
        key = pair.kind, pair.entry
        if pair.in_store is None:
            draft.add(Op.DROP_LINK, pair, pair.at_name)
        elif key not in refiled and (key not in named or pair.inside in homes):
            lonely.setdefault(key, pair)
        elif view.name is not None:
            draft.add(Op.DROP_LINK, pair, pair.at_name, also=view.name)
    return lonely


def leftovers(draft: Draft) -> None:
    """What a kill left: a second name of a file is removed, an only one is kept in the trash.

    Where an older version is at its name, it is what libvirt wrote, which a swap took off before it
    was killed: that goes back.
    """
    for left in draft.view.leftovers:
        if not left.twin and left.found.is_file and (name := _taken_from(draft.view, left)):
            subdir, entry, expect, inside = name
            draft.steps.append(
                Step(
                    Op.GIVE_BACK,
                    left.kind,
                    draft.view.uuid,
                    subdir,
                    entry,
                    left.entry,
                    expect,
                    inside=inside,
                )
            )
        elif left.twin:
            draft.in_store(Op.DISCARD, left.kind, left.entry, left.found, waiting=left.waiting)
        else:
            draft.trash(left.kind, left.entry, left.found, Reason.LEFT_OVER, waiting=left.waiting)


def _taken_from(view: View, left: Leftover) -> tuple[str, str, Entry, int] | None:
    """The one name that shows an older version since: directory, name, what is there, inode."""
    found = [
        (pair.subdir, pair.entry, pair.at_name, pair.inside)
        for pair in pairs(view)
        if pair.kind is left.kind
        and pair.at_name is not None
        and pair.at_name.is_file
        and pair.at_name.same_inode(pair.in_store)
    ]
    if left.kind is Kind.LOG:
        found += [("", log.entry, log.at_name, 0) for log in view.logs if _is_older(view, log)]
    return found[0] if len(found) == 1 and not left.waiting else None


def _is_older(view: View, log: LogName) -> bool:
    """Whether what a run put at a log's name is older than what came off: virtlogd had rotated in
    between, so another name, or the store alone, has the same file."""
    stored = dict(view.log_store)
    if log.at_name.is_file:
        return any(log.at_name.same_inode(kept) for kept in stored.values())

    def opened(text: str | None) -> Entry | None:
        target = log_target(text or "")
        return stored.get(target[1]) if target is not None and target[0] == view.uuid else None

    mine = opened(log.at_name.text)
    others = [opened(other.at_name.text) for other in view.logs if other is not log]
    is_new = log.at_name.text == f"{STORE}/{log_entry(view.uuid, log.suffix)}"
    return is_new and mine is not None and any(mine.same_inode(other) for other in others)


def prune(draft: Draft, kind: Kind) -> bool:
    """The UUID's metadata directory goes when the steps before leave nothing in it; tells so."""
    view = draft.view
    kept = {p.store_entry for p in view.metadata if p.kind is kind and p.in_store is not None}
    if kind not in view.store_dirs:
        return False
    for step in draft.steps:
        if step.kind is kind and step.op in {Op.TRASH, Op.DISCARD, Op.UNFOLD}:
            kept.discard(step.store_entry)
        elif step.kind is kind and step.op in {Op.FOLD, Op.REFOLD, Op.REFILE, Op.RECOVER}:
            return False
    if not kept:
        draft.steps.append(Step(Op.PRUNE, kind, view.uuid))
    return not kept
