"""What to do: a pure function from a view of one UUID to a tuple of steps.

No I/O, no clock, no environment; the same view always gives the same plan. A step says what
it expects to find, so that :mod:`uuidfs.apply` can refuse when that has changed, and so that
a dry run prints exactly what a run does.
"""

from collections.abc import Container

from uuidfs.draft import Draft
from uuidfs.fs import Entry
from uuidfs.layout import Kind, Layout
from uuidfs.logplan import plan_logs
from uuidfs.scan import MOVED_MARK, Problem
from uuidfs.steps import Op, Plan, Step
from uuidfs.view import LogName, Pair, View


def convert(
    layout: Layout, view: View, bound: Container[str] = (), *, log_link: bool = False
) -> Plan:
    """Plan the way to the UUID layout.

    ``bound``: the UUIDs that have a name. ``log_link``: the domain is about to start, so its
    log's link has to be there before virtlogd opens the log, even if there is no log yet.
    """
    draft = Draft(layout, view)
    _leftovers(draft)
    if view.rivals:
        _report_rivals(draft)
        return draft.finish()
    # Logs first: the hook takes a config's link as the sign that the log's link was settled.
    plan_logs(draft, bound, log_link=log_link)
    for pair in view.misfiled:
        draft.add(Op.REFILE, pair._replace(kind=Kind.CHECKPOINT), pair.at_name)
    refiled = {pair.entry for pair in view.misfiled}
    lonely = _drop_strays(draft, {(Kind.CHECKPOINT, entry) for entry in refiled})
    for pair in _pairs(view):
        if pair.kind is Kind.CHECKPOINT and pair.entry in refiled and pair.at_name is None:
            continue  # else it was redefined since: the misfiled one is for the trash
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
        _prune(draft, kind)
    return draft.finish()


def revert(layout: Layout, view: View) -> Plan:
    """Plan the way back to libvirt's plain layout, also for half-done and rival names."""
    draft = Draft(layout, view)
    _leftovers(draft)
    if len(view.linked) > 1:
        _report_rivals(draft)  # one file, two names: taking it from either would be a guess
        return draft.finish()
    lonely = _drop_strays(draft)
    for pair in _pairs(view):
        _unfold(draft, lonely.get((pair.kind, pair.entry), pair))
    stored = dict(view.log_store)
    for log in (*view.logs, *view.away):
        _unfold_log(draft, log, stored)
    if view.moved is not None:
        draft.in_store(Op.DISCARD, Kind.LOG, view.uuid + MOVED_MARK, view.moved)
    for suffix, found in sorted(stored.items()):
        entry = f"{view.uuid}.log{suffix}"
        _drop_stored(draft, Kind.LOG, entry, found, "no name refers to this log")
    for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
        _prune(draft, kind)
    return draft.finish()


def _pairs(view: View) -> list[Pair]:
    return ([view.config] if view.config is not None else []) + list(view.metadata)


def _report_rivals(draft: Draft) -> None:
    names = " and ".join(repr(name) for name in draft.view.rivals)
    for name in draft.view.rivals:
        draft.problems.append(
            Problem(
                f"{draft.layout.names[Kind.CONFIG].path}/{name}.xml",
                f"the configs of {names} carry one UUID: libvirt is renaming the domain, or was "
                "killed in a rename; if this stays, run: uuidfs check --repair",
                name,
            )
        )


def is_placeholder(layout: Layout, pair: Pair, uuid: str) -> bool:
    """A link at a store's file name, saying what the name's link will say: a fold not done."""
    entry = pair.in_store
    return entry is not None and entry.text == layout.link_text(pair.kind, uuid, pair.store_entry)


def _fold(draft: Draft, pair: Pair) -> None:
    """Config and metadata: one name, one UUID path."""
    view, name, stored = draft.view, pair.at_name, pair.in_store
    holder = is_placeholder(draft.layout, pair, view.uuid)
    if stored is not None and not stored.is_file and not holder:
        path = f"{draft.layout.store_place(pair.kind, view.uuid).path}/{pair.store_entry}"
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
    elif stored is None or holder:
        draft.leave(pair.kind, pair.subdir, pair.entry, "its file is missing from the store")


def _orphan(draft: Draft, pair: Pair, stored: Entry | None, holder: bool) -> None:
    """Nothing is at the name: libvirt removed it, so the store's file is unreferenced."""
    view = draft.view
    if stored is None:
        return
    if holder:
        draft.in_store(Op.DISCARD, pair.kind, pair.store_entry, stored)
    elif view.orphan_safe:
        reason = "undefined" if view.name is None else f"deleted by libvirt from {view.name}"
        draft.in_store(Op.TRASH, pair.kind, pair.store_entry, stored, reason)
    # Else something could not be read that may refer to it: it is kept, and status shows it.


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
            _drop_stored(draft, pair.kind, pair.store_entry, stored, "no name refers to it")


def _drop_stored(draft: Draft, kind: Kind, entry: str, found: Entry, reason: str) -> None:
    """Whatever is in the store under no name of libvirt's: never removed, always trashed."""
    draft.in_store(Op.TRASH if found.is_file else Op.DISCARD, kind, entry, found, reason)


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


def _drop_strays(
    draft: Draft, refiled: Container[tuple[Kind, str]] = ()
) -> dict[tuple[Kind, str], Pair]:
    """The domain has another name. Who takes the old one must not get its snapshots.

    ``refiled`` are files that get their names by the steps before. Returns the links that stay
    because no other one leads to their files.
    """
    view, text = draft.view, draft.layout.link_text
    named = {
        (pair.kind, pair.entry)
        for pair in view.metadata
        if pair.at_name is not None
        and (
            pair.at_name.is_file
            or pair.at_name.text == text(pair.kind, view.uuid, pair.store_entry)
        )
    }
    lonely: dict[tuple[Kind, str], Pair] = {}
    for pair in view.strays:
        key = pair.kind, pair.entry
        if pair.in_store is None:
            draft.add(Op.DROP_LINK, pair, pair.at_name)
        elif key not in named and key not in refiled:
            lonely.setdefault(key, pair)
        elif view.name is not None:
            draft.add(Op.DROP_LINK, pair, pair.at_name, other=view.name)
    return lonely


def _leftovers(draft: Draft) -> None:
    """What a kill left: a second name of a file is removed, an only one is kept in the trash."""
    for left in draft.view.leftovers:
        op = Op.TRASH if left.found.is_file and not left.twin else Op.DISCARD
        reason = "left over from a kill" if op is Op.TRASH else ""
        draft.in_store(op, left.kind, left.entry, left.found, reason, room=left.room)


def _prune(draft: Draft, kind: Kind) -> None:
    """The UUID's metadata directory goes when the steps before leave nothing in it."""
    view = draft.view
    kept = {p.store_entry for p in view.metadata if p.kind is kind and p.in_store is not None}
    if kind not in view.store_dirs:
        return
    for step in draft.steps:
        if step.kind is kind and step.op in {Op.TRASH, Op.DISCARD, Op.UNFOLD}:
            kept.discard(step.store_entry)
        elif step.kind is kind and step.op in {Op.FOLD, Op.REFOLD, Op.REFILE}:
            return
    if not kept:
        draft.steps.append(Step(Op.PRUNE, kind, view.uuid))
