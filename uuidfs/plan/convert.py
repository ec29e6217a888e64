"""What to do: a pure function from a view of one UUID to a tuple of steps.

No I/O, no clock, no environment; the same view always gives the same plan. A step says what
it expects to find, so that :mod:`uuidfs.apply` can refuse when that has changed, and so that
a dry run prints exactly what a run does.
"""

from collections.abc import Container
from typing import TYPE_CHECKING

from uuidfs.files.entry import Entry
from uuidfs.layout.names import DIRECTORY_MARK
from uuidfs.layout.places import Kind, Layout
from uuidfs.layout.trash_label import Reason
from uuidfs.plan.draft import (
    Draft,
    drop_strays,
    is_placeholder,
    leftovers,
    pairs,
    prune,
    report_rivals,
)
from uuidfs.plan.logs import plan_logs
from uuidfs.plan.steps import Op, Plan, Step
from uuidfs.survey.scan import Problem
from uuidfs.survey.view import Pair, View

if TYPE_CHECKING:  # the hook asks nobody, and has no time
    from uuidfs.runtime.known_checkpoints import KnownCheckpoints


def plan_convert(
    layout: Layout,
    view: View,
    bound: Container[str] = (),
    *,
    log_link: bool = False,
    refile: bool = True,
    known: "KnownCheckpoints | None" = None,
) -> Plan:
    """Plan the way to the UUID layout.

    ``bound``: the UUIDs that have a name. ``log_link``: the domain is about to start, so its
    log's link has to be there before virtlogd opens the log, even if there is no log yet.
    ``refile``: whether misfiled checkpoints are seen to; those that libvirt does not know were
    deleted since. Without ``known`` it knows all.
    """
    misfiled = {pair.entry for pair in view.misfiled}
    refiled = {pair.entry for pair in view.misfiled if refile and _knows(known, pair)}
    later = {(Kind.CHECKPOINT, entry) for entry in misfiled - refiled}
    draft = Draft(layout, view._replace(strays=_without(view.strays, later)))
    leftovers(draft)
    if view.rivals:
        report_rivals(draft)
        return draft.finish()
    # Logs first: the hook takes a config's link as the sign that the log's link was settled.
    plan_logs(draft, bound, log_link=log_link)
    for pair in view.misfiled if refile else ():
        if pair.entry in refiled:
            draft.add(Op.REFILE, pair._replace(kind=Kind.CHECKPOINT), pair.at_name)
        else:
            draft.add(Op.RETIRE, pair, pair.at_name)
    # Where the directory at the name is noted below, the one that is noted now is a former one.
    homes = view.homes if not view.unrecorded else ()
    lonely = drop_strays(draft, {(Kind.CHECKPOINT, entry) for entry in refiled}, homes)
    for pair in pairs(view):
        if pair.kind is Kind.CHECKPOINT and pair.entry in misfiled and pair.at_name is None:
            # libvirt wrote it elsewhere: no sign that it was deleted, unless libvirt says so.
            if refile and pair.entry not in refiled and pair.in_store is not None:
                draft.trash(pair.kind, pair.store_entry, pair.in_store, Reason.DELETED)
            continue  # where there is a name it was redefined since: that one is trashed
        if (pair.kind, pair.entry) not in lonely:
            _fold(draft, pair)
    for pair in lonely.values():
        draft.leave(
            pair.kind,
            pair.subdir,
            pair.entry,
            "no domain is called like its directory, "
            "and no other link leads to its file: give the directory its name back, or "
            "remove it",
        )
    for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
        if not prune(draft, kind):
            _record(draft, kind)
    if view.once is not None:
        from uuidfs.plan.once import plan_once  # rare, and the hook has no time

        plan_once(draft, keep=True)
    return draft.finish()


def _knows(known: "KnownCheckpoints | None", pair: Pair) -> bool:
    written = pair.at_name.mtime if pair.at_name is not None else 0
    return known is None or known.has(pair.entry, written)


def _without(among: tuple[Pair, ...], keys: Container[tuple[Kind, str]]) -> tuple[Pair, ...]:
    return tuple(pair for pair in among if (pair.kind, pair.entry) not in keys)


def _record(draft: Draft, kind: Kind) -> None:
    """Note which directory is the domain's, while something in it proves it."""
    view = draft.view
    ops = {step.op for step in draft.steps if step.kind is kind}
    inodes = dict(view.unrecorded)
    if view.name is None or not (ops & {Op.FOLD, Op.REFOLD, Op.REFILE} or kind in view.store_dirs):
        return
    if kind in inodes or Op.REFILE in ops:
        inode = str(inodes[kind]) if kind in inodes else ""
        draft.steps.append(
            Step(Op.RECORD, kind, view.uuid, view.name, store_entry=DIRECTORY_MARK, also=inode)
        )


def _fold(draft: Draft, pair: Pair) -> None:
    """Config and metadata: one name, one UUID path."""
    view, name, stored = draft.view, pair.at_name, pair.in_store
    holder = is_placeholder(draft.layout, pair, view.uuid)
    if stored is not None and not stored.is_file and not holder:
        path = draft.layout.store_path(pair.kind, view.uuid, pair.store_entry)
        draft.problems.append(
            Problem(path, f"{stored.noun} is in the place of the file", view.name)
        )
        return
    if pair.why_not is not None:
        draft.leave(pair.kind, pair.subdir, pair.entry, pair.why_not)
        return
    if name is None:
        _orphan(draft, pair, stored, holder)
    elif name.is_file and view.name is None:
        return  # libvirt's directory of an undefined domain: not ours to convert
    elif name.is_file:
        draft.add(Op.FOLD if stored is None or holder else Op.REFOLD, pair, name)
    elif name.text != draft.layout.link_text(pair.kind, view.uuid, pair.store_entry):
        noun = "a symlink that uuidfs did not make" if name.text is not None else name.noun
        draft.leave(pair.kind, pair.subdir, pair.entry, f"{noun} is in the place of the file")
    elif stored is None and pair.trashed is not None:
        draft.add(Op.RECOVER, pair, name, also=pair.trashed)
    elif stored is None or holder:
        draft.leave(pair.kind, pair.subdir, pair.entry, "its file is missing from the store")


def _orphan(draft: Draft, pair: Pair, stored: Entry | None, holder: bool) -> None:
    """Nothing is at the name: libvirt removed it, so the store's file is unreferenced."""
    view = draft.view
    if stored is None:
        return
    if holder:
        draft.in_store(Op.DISCARD, pair.kind, pair.store_entry, stored)
    elif view.set_aside:
        return  # a power cut left it so; recovery puts back what belongs at the name
    elif view.orphan_safe and (
        pair.kind is Kind.CONFIG or view.name is None or pair.kind in view.proven
    ):
        reason = Reason.UNDEFINED if view.name is None else Reason.DELETED
        draft.trash(pair.kind, pair.store_entry, stored, reason)
    # Else something that may refer to it could not be read, or the directory at the name is not
    # known to be the domain's: QEMU's user can move those. It is kept, and status shows it.
