"""The way back to libvirt's plain layout, as a pure function of a view."""

from uuidfs.files.entry import Entry
from uuidfs.layout.names import MOVED_MARK, log_entry
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
from uuidfs.survey.scan import Problem
from uuidfs.survey.view import LogName, Pair, View


def plan_revert(layout: Layout, view: View) -> Plan:
    """Plan the way back to libvirt's plain layout, also for half-done and rival names."""
    draft = Draft(layout, view)
    leftovers(draft)
    if len(view.linked) > 1:
        report_rivals(draft)  # one file, two names: taking it from either would be a guess
        return draft.finish()
    lonely = drop_strays(draft)
    misfiled = {pair.entry for pair in view.misfiled}
    for pair in pairs(view):
        stored, linked = pair.in_store, pair.at_name or lonely.get((pair.kind, pair.entry))
        if pair.kind is Kind.CHECKPOINT and pair.entry in misfiled and linked is None:
            if stored is not None:  # libvirt has written it anew, among the snapshots
                draft.trash(pair.kind, pair.store_entry, stored, Reason.SUPERSEDED)
            continue
        _unfold(draft, lonely.get((pair.kind, pair.entry), pair))
    logs = dict(view.log_store)
    for log in (*view.logs, *view.away):
        _unfold_log(draft, log, logs)
    if view.moved is not None:
        draft.in_store(Op.DISCARD, Kind.LOG, view.uuid + MOVED_MARK, view.moved)
    for suffix, found in sorted(logs.items()):
        entry = log_entry(view.uuid, suffix)
        if any(log.at_name.same_inode(found) for log in view.logs):
            draft.in_store(Op.DISCARD, Kind.LOG, entry, found)  # its name has it: a kill came
        elif view.logs_known:
            draft.trash(Kind.LOG, entry, found, Reason.UNNAMED)
        else:
            path = f"{layout.stores[Kind.LOG].path}/{entry}"
            why = "no name refers to it, but something that may could not be read"
            draft.problems.append(Problem(path, why, view.name))
    for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
        prune(draft, kind)
    if view.once is not None:
        from uuidfs.plan.once import plan_once  # rare, and the hook has no time

        plan_once(draft, keep=False)
    return draft.finish()


def _unfold(draft: Draft, pair: Pair) -> None:
    view, name, stored = draft.view, pair.at_name, pair.in_store
    if pair.why_not is not None:
        # Not what it should be: the store has the only good copy, which stays there.
        draft.leave(pair.kind, pair.subdir, pair.entry, pair.why_not)
    elif name is not None and name.text is not None:
        _unfold_link(draft, pair, name)
    elif stored is not None and is_placeholder(draft.layout, pair, view.uuid):
        draft.in_store(Op.DISCARD, pair.kind, pair.store_entry, stored)
    elif stored is not None and stored.is_file:
        if name is not None and name.is_file:  # an older version, as folding would replace it
            draft.in_store(Op.DISCARD, pair.kind, pair.store_entry, stored)
        elif name is None:
            _unnamed(draft, pair, stored)
        else:
            noun = f"{name.noun} is in the place of the file"
            draft.leave(pair.kind, pair.subdir, pair.entry, noun)


def _unfold_link(draft: Draft, pair: Pair, name: Entry) -> None:
    view, stored = draft.view, pair.in_store
    if name.text != draft.layout.link_text(pair.kind, view.uuid, pair.store_entry):
        draft.leave(pair.kind, pair.subdir, pair.entry, "a symlink that uuidfs did not make")
    elif stored is not None and stored.is_file:
        draft.add(Op.UNFOLD, pair, name)
    elif stored is None and pair.trashed is not None:
        draft.add(Op.RECOVER, pair, name, also=pair.trashed)
        draft.add(Op.UNFOLD, pair, name)
    else:
        draft.leave(pair.kind, pair.subdir, pair.entry, "its file is missing from the store")


def _unnamed(draft: Draft, pair: Pair, stored: Entry) -> None:
    """No name refers to a file of the store. It goes only where that is known for sure; nothing
    removes it from the trash, since a revert ends what does."""
    view = draft.view
    if view.set_aside:
        why = (
            "it is set aside by a local migration that is not over: wait, or to put it back, run: "
            "uuidfs local-migrate --recover"
        )
    elif not view.complete:
        why = "no name refers to it, but something that may could not be read"
    elif pair.kind.is_metadata and view.name is not None and pair.kind not in view.proven:
        why = (
            "no name refers to it, but the domain's directory is not there, or is another one: put "
            f"that back, or move this file away where libvirt has no such {pair.kind.value}"
        )
    else:
        draft.trash(pair.kind, pair.store_entry, stored, Reason.UNNAMED)
        return
    path = draft.layout.store_path(pair.kind, view.uuid, pair.store_entry)
    draft.problems.append(Problem(path, why, view.name))


def _unfold_log(draft: Draft, log: LogName, stored: dict[str, Entry]) -> None:
    view = draft.view
    if log.at_name.text is None:
        return
    for suffix in list(stored):
        text = draft.layout.link_text(Kind.LOG, view.uuid, log_entry(view.uuid, suffix))
        if log.at_name.text == text and stored[suffix].is_file:
            draft.steps.append(
                Step(
                    Op.UNFOLD,
                    Kind.LOG,
                    view.uuid,
                    "",
                    log.entry,
                    log_entry(view.uuid, suffix),
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
