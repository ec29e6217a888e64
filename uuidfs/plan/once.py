"""Plans a domain's mark for one autostart: it follows the domain, never the name."""

from uuidfs.files.entry import Entry
from uuidfs.layout.names import NOBODY, ONCE_MARK
from uuidfs.layout.places import AUTOSTART, Kind
from uuidfs.plan.draft import Draft
from uuidfs.plan.steps import Op, Step


def plan_once(draft: Draft, *, keep: bool) -> None:
    """The mark under a former name moves to the domain's own, or goes with the domain.

    ``keep``: whether the store goes on noting whose it is. A mark under a name that its domain had
    before is the domain's as long as its inode is the noted one. Every state that a kill leaves
    between two of these steps is planned here in the same way.
    """
    once, uuid = draft.view.once, draft.view.uuid
    if once is None:
        return
    for entry, found in once.dangling:
        draft.steps.append(_step(Op.DROP_ONCE, NOBODY, entry, expect=found))
    note, mark = once.note, once.at_name
    given = False
    if note is not None and once.former != once.entry and note.same_inode(once.at_former):
        if once.foreign:
            return  # the other domain's plan moves that one first
        if once.entry and mark is None:
            # The text's beginning is libvirt's own: with --root it is not the path from here.
            text = (note.text or "").rpartition("/")[0] + "/" + once.entry[: -len(".once")]
            draft.steps.append(_step(Op.GIVE_ONCE, uuid, once.entry, text))
            given = True
        draft.steps.append(_step(Op.DROP_ONCE, uuid, once.former, expect=note))
    if once.unknown and mark is not None and not mark.same_inode(note):
        draft.steps.append(_step(Op.DROP_ONCE, uuid, once.entry, expect=mark))
        mark = None
    if given and keep:
        draft.steps.append(_step(Op.NOTE_ONCE, uuid, once.entry))
    elif mark is not None and keep:
        if not mark.same_inode(note):
            draft.steps.append(_step(Op.NOTE_ONCE, uuid, once.entry, expect=mark))
    elif note is not None:
        draft.in_store(Op.DISCARD, Kind.CONFIG, uuid + ONCE_MARK, note)


def _step(op: Op, uuid: str, entry: str, also: str = "", expect: Entry | None = None) -> Step:
    return Step(
        op,
        Kind.CONFIG,
        uuid,
        entry=f"{AUTOSTART}/{entry}",
        store_entry=uuid + ONCE_MARK,
        expect=expect,
        also=also,
    )
