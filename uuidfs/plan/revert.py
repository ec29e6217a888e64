"""The way back to libvirt's plain layout, as a pure function of a view."""

from uuidfs.files.entry import Entry
from uuidfs.layout.names import MOVED_MARK
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
from uuidfs.plan.steps import Op, Plan, Step
from uuidfs.survey.view import LogName, Pair, View


def plan_revert(layout: Layout, view: View) -> Plan:
    """Plan the way back to libvirt's plain layout, also for half-done and rival names."""
    draft = Draft(layout, view)
    leftovers(draft)
    if len(view.linked) > 1:
        report_rivals(draft)  # one file, two names: taking it from either would be a guess
        return draft.finish()
    lonely = drop_strays(draft)
    for pair in pairs(view):
        _unfold(draft, lonely.get((pair.kind, pair.entry), pair))
    stored = dict(view.log_store)
    for log in (*view.logs, *view.away):
        _unfold_log(draft, log, stored)
    if view.moved is not None:
        draft.in_store(Op.DISCARD, Kind.LOG, view.uuid + MOVED_MARK, view.moved)
    for suffix, found in sorted(stored.items()):
        entry = f"{view.uuid}.log{suffix}"
        draft.trash(Kind.LOG, entry, found, Reason.UNNAMED)
    for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
        prune(draft, kind)
    return draft.finish()


def _unfold(draft: Draft, pair: Pair) -> None:
    view, name, stored = draft.view, pair.at_name, pair.in_store
    if name is not None and name.text is not None:
        if name.text != draft.layout.link_text(pair.kind, view.uuid, pair.store_entry):
            draft.leave(pair.kind, pair.subdir, pair.entry, "a symlink that uuidfs did not make")
        elif stored is None or not stored.is_file:
            draft.leave(pair.kind, pair.subdir, pair.entry, "its file is missing from the store")
        else:
            draft.add(Op.UNFOLD, pair, name)
    elif stored is not None and is_placeholder(draft.layout, pair, view.uuid):
        draft.in_store(Op.DISCARD, pair.kind, pair.store_entry, stored)
    elif stored is not None and stored.is_file:
        if name is not None and name.is_file:  # an older version, as folding would replace it
            draft.in_store(Op.DISCARD, pair.kind, pair.store_entry, stored)
        else:
            draft.trash(pair.kind, pair.store_entry, stored, Reason.UNNAMED)


def _unfold_log(draft: Draft, log: LogName, stored: dict[str, Entry]) -> None:
    view = draft.view
    if log.at_name.text is None:
        return
    for suffix in list(stored):
        text = draft.layout.link_text(Kind.LOG, view.uuid, f"{view.uuid}.log{suffix}")
        if log.at_name.text == text and stored[suffix].is_file:
            draft.steps.append(
                Step(
                    Op.UNFOLD,
                    Kind.LOG,
                    view.uuid,
                    "",
                    log.entry,
                    f"{view.uuid}.log{suffix}",
                    log.at_name,
                )
            )
            del stored[suffix]
            return
    prefix = draft.layout.link_prefix(Kind.LOG, view.uuid) + view.uuid
    if log.at_name.text.startswith(prefix):
        # Dangling: made for a start that never wrote a log. A plain host has no file here.
        draft.steps.append(
            Step(Op.DROP_LINK, Kind.LOG, view.uuid, "", log.entry, expect=log.at_name)
        )
