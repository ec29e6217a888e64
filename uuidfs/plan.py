"""What to do: a pure function from a view of one UUID to a tuple of steps.

No I/O, no clock, no environment; the same view always gives the same plan. A step says what
it expects to find, so that :mod:`uuidfs.apply` can refuse when that has changed, and so that
a dry run prints exactly what a run does.
"""

from enum import Enum
from typing import NamedTuple

from uuidfs.documents import log_target
from uuidfs.fs import Entry
from uuidfs.layout import Kind, Layout
from uuidfs.scan import Problem
from uuidfs.survey import LogName, Pair, View


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
    """Remove a link of ours."""
    SHARE = "rename in the store"
    """Give the store's file the second name ``other`` there."""
    DROP_STORE = "forget the former name"
    """Remove a store name of an inode that has its other name ``other`` by now."""
    DISCARD = "clean up"
    """Remove from the store what is not needed: placeholder, second name, old version."""
    TRASH = "trash"
    """Rename an unreferenced file of the store into its trash; ``other`` is the reason."""
    REFILE = "refile the checkpoint"
    """A checkpoint that domrename wrote into snapshot/NAME goes where libvirt will look
    (libvirt 9.0 and 11.3, docs/libvirt-facts.md "Renaming loses checkpoints")."""
    PRUNE = "remove the empty directory"
    """Remove the UUID's directory in the store, when it is empty."""


class Step(NamedTuple):
    """One thing to do. ``entry`` is in libvirt's directory, ``store_entry`` in ours.

    ``subdir`` is the domain's name for metadata, else empty. ``expect`` is what the step is
    made for: a regular file or link at the name, or the store's file where there is no name.
    ``room``: the store's entry is in the waiting room.
    """

    op: Op
    kind: Kind
    uuid: str
    subdir: str = ""
    entry: str = ""
    store_entry: str = ""
    expect: Entry | None = None
    other: str = ""
    room: bool = False

    def path(self, layout: Layout) -> str:
        """The path that changes: the name path, or the UUID path where there is no name."""
        if self.entry:
            return f"{layout.name_place(self.kind, self.subdir).path}/{self.entry}"
        return self.uuid_path(layout)

    def uuid_path(self, layout: Layout) -> str:
        """The path in the store."""
        return f"{layout.store_place(self.kind, self.uuid).path}/{self.store_entry}".rstrip("/")

    def describe(self, layout: Layout) -> str:
        """The line that a dry run prints."""
        name, target = self.path(layout), self.uuid_path(layout)
        match self.op:
            case Op.FOLD | Op.REFOLD | Op.ADD_LINK | Op.POINT_LINK:
                return f"{self.op.value}: {name} -> {target}"
            case Op.UNFOLD:
                return f"{self.op.value}: {target} -> {name}"
            case Op.SHARE:
                return f"{self.op.value}: {target} -> {self.other}"
            case Op.TRASH:
                return f"{self.op.value}: {name} ({self.other})"
            case _:
                return f"{self.op.value}: {name}"


class Plan(NamedTuple):
    """Steps in their order, and what is left alone and why."""

    uuid: str
    name: str | None
    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()


class _Draft:
    """A plan in the making."""

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

    def add(self, op: Op, pair: Pair, expect: Entry | None) -> None:
        self.steps.append(Step(
            op, pair.kind, self.view.uuid, pair.subdir, pair.entry, pair.store_entry, expect
        ))

    def in_store(  # a step about a store's name only
        self, op: Op, kind: Kind, entry: str, expect: Entry, other: str = "", *, room: bool = False
    ) -> None:
        self.steps.append(Step(
            op, kind, self.view.uuid, store_entry=entry, expect=expect, other=other, room=room
        ))


def convert(layout: Layout, view: View, *, log_link: bool = False) -> Plan:
    """Plan the way to the UUID layout.

    ``log_link``: the domain is about to start, so its log's link has to be there before
    virtlogd opens the log, even if there is no log yet.
    """
    draft = _Draft(layout, view)
    _leftovers(draft)
    if view.rivals:
        _report_rivals(draft)
        return draft.finish()
    # Logs first: the hook takes a config's link as the sign that the log's link was settled.
    _logs(draft, log_link=log_link)
    for pair in view.misfiled:
        draft.add(Op.REFILE, pair._replace(kind=Kind.CHECKPOINT), pair.at_name)
    refiled = {pair.entry for pair in view.misfiled}
    for pair in _pairs(view):
        if pair.kind is Kind.CHECKPOINT and pair.entry in refiled:
            continue
        _fold(draft, pair)
    for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
        _prune(draft, kind)
    return draft.finish()


def revert(layout: Layout, view: View) -> Plan:
    """Plan the way back to libvirt's plain layout, also for half-done and rival names."""
    draft = _Draft(layout, view)
    _leftovers(draft)
    if len(view.linked) > 1:
        _report_rivals(draft)  # one file, two names: taking it from either would be a guess
        return draft.finish()
    for pair in _pairs(view):
        _unfold(draft, pair)
    stored = dict(view.log_store)
    for log in (*view.logs, *view.away):
        _unfold_log(draft, log, stored)
    for suffix, found in sorted(stored.items()):
        entry = f"{view.uuid}.log{suffix}"
        _drop_stored(draft, Kind.LOG, entry, found, "no name refers to this log")
    for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
        _prune(draft, kind)
    return draft.finish()


def _pairs(view: View) -> list[Pair]:
    return ([view.config] if view.config is not None else []) + list(view.metadata)


def _report_rivals(draft: _Draft) -> None:
    names = " and ".join(repr(name) for name in draft.view.rivals)
    for name in draft.view.rivals:
        draft.problems.append(Problem(
            f"{draft.layout.names[Kind.CONFIG].path}/{name}.xml",
            f"the configs of {names} carry one UUID: libvirt is renaming the domain, or was "
            "killed in a rename; if this stays, run: uuidfs check --repair",
            name,
        ))


def is_placeholder(layout: Layout, pair: Pair, uuid: str) -> bool:
    """A link at a store's file name, saying what the name's link will say: a fold not done."""
    entry = pair.in_store
    return entry is not None and entry.text == layout.link_text(pair.kind, uuid, pair.store_entry)


def _fold(draft: _Draft, pair: Pair) -> None:
    """Config and metadata: one name, one UUID path."""
    view, name, stored = draft.view, pair.at_name, pair.in_store
    holder = is_placeholder(draft.layout, pair, view.uuid)
    if stored is not None and not stored.is_file and not holder:
        path = f"{draft.layout.store_place(pair.kind, view.uuid).path}/{pair.store_entry}"
        draft.problems.append(Problem(path, f"{stored.noun} is in the place of the file",
                                      view.name))
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


def _orphan(draft: _Draft, pair: Pair, stored: Entry | None, holder: bool) -> None:
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


def _unfold(draft: _Draft, pair: Pair) -> None:
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


def _drop_stored(draft: _Draft, kind: Kind, entry: str, found: Entry, reason: str) -> None:
    """Whatever is in the store under no name of libvirt's: never removed, always trashed."""
    draft.in_store(Op.TRASH if found.is_file else Op.DISCARD, kind, entry, found, reason)


def _unfold_log(draft: _Draft, log: LogName, stored: dict[str, Entry]) -> None:
    view = draft.view
    if log.at_name.text is None:
        return
    for suffix in list(stored):
        text = draft.layout.link_text(Kind.LOG, view.uuid, f"{view.uuid}.log{suffix}")
        if log.at_name.text == text and stored[suffix].is_file:
            draft.steps.append(Step(Op.UNFOLD, Kind.LOG, view.uuid, "", log.entry,
                                    f"{view.uuid}.log{suffix}", log.at_name))
            del stored[suffix]
            return
    prefix = draft.layout.link_prefix(Kind.LOG, view.uuid) + view.uuid
    if log.at_name.text.startswith(prefix):
        # Dangling: made for a start that never wrote a log. A plain host has no file here.
        draft.steps.append(Step(Op.DROP_LINK, Kind.LOG, view.uuid, "", log.entry,
                                expect=log.at_name))


def _leftovers(draft: _Draft) -> None:
    """What a kill left: a second name of a file is removed, an only one is kept in the trash."""
    for left in draft.view.leftovers:
        op = Op.TRASH if left.found.is_file and not left.twin else Op.DISCARD
        reason = "left over from a kill" if op is Op.TRASH else ""
        draft.in_store(op, left.kind, left.entry, left.found, reason, room=left.room)


def _prune(draft: _Draft, kind: Kind) -> None:
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


# -- logs: a chain of rotations ---------------------------------------------------------------


def _logs(draft: _Draft, *, log_link: bool) -> None:
    """Bring the store's rotations in line with the names', highest first.

    Rotating renames links as they are (virtlogd, libvirt 9.0 and 11.3): afterwards NAME.log.0
    points at UUID.log and NAME.log is a regular file. Every name keeps opening the same file
    all the time: a file gets its new name in the store before the link is changed, and a name
    in the store is only taken once no link points at it any more.
    """
    view = draft.view
    if view.name is None:
        return  # undefined: logs stay under their UUID, with their link
    chain = _Chain(draft, dict(view.log_store))
    for log in view.logs:
        chain.add(log)
    chain.adopt(view.away)
    chain.run()
    chain.finish(view.taken, log_link=log_link)


class _Chain:
    """The rotations of one domain's log, by name and in the store, while a plan is made."""

    def __init__(self, draft: _Draft, stored: dict[str, Entry]) -> None:
        self.draft = draft
        self.stored = stored
        self.todo: dict[str, LogName] = {}  # suffix by name -> what lies there
        self.points: dict[str, str | None] = {}  # suffix by name -> store suffix; None: a file
        self.settled: set[str] = set()  # store suffixes that a name rightly links to
        self.shared: dict[str, str] = {}  # store suffix -> the suffix that its file moves to

    def _entry(self, suffix: str) -> str:
        return f"{self.draft.view.uuid}.log{suffix}"

    def _target(self, log: LogName) -> str | None:
        text = log.at_name.text
        prefix = self.draft.layout.link_prefix(Kind.LOG, "") + self.draft.view.uuid + ".log"
        return text[len(prefix):] if text is not None and text.startswith(prefix) else None

    def add(self, log: LogName) -> None:
        """Take one of the domain's own names into account."""
        target = self._target(log)
        if target == log.suffix:
            self.settled.add(log.suffix)
            if log.suffix not in self.stored and log.suffix:
                self._emit(Op.DROP_LINK, log.suffix, log)  # its file was rotated in the store
                self.settled.discard(log.suffix)
        elif log.at_name.is_file or (target is not None and target in self.stored):
            self.todo[log.suffix] = log
            self.points[log.suffix] = target
        elif target is not None:
            self._emit(Op.DROP_LINK, log.suffix, log)  # dangling, and under the wrong number
        else:
            noun = "a symlink that uuidfs did not make" if log.at_name.text else log.at_name.noun
            self.draft.leave(Kind.LOG, "", log.entry, f"{noun} is in the place of the log")
            self.settled.add(log.suffix)

    def adopt(self, away: tuple[LogName, ...]) -> None:
        """Logs that a rename left under another name come along, under the same number.

        Where the new name has a log of its own already (the domain was started without the
        hook), the old one goes on as the next higher rotation.
        """
        view = self.draft.view
        for log in away:
            target = self._target(log)
            if target is None or target not in self.stored:
                self._emit(Op.DROP_LINK, log.suffix, log)
                continue
            suffix = target
            if suffix in self.todo or (suffix in self.settled):
                numbers = [int(s[1:]) for s in (*self.todo, *self.settled, *self.stored)
                           if s[1:].isdigit() and s[0] == "."]
                suffix = f".{max(numbers, default=-1) + 1}"
                self._share(target, suffix)
            name_entry = f"{view.name}.log{suffix}"
            self._add_link(name_entry, suffix)
            self._emit(Op.DROP_LINK, log.suffix, log)
            self.settled.add(suffix)

    def _emit(self, op: Op, suffix: str, log: LogName) -> None:
        self.draft.steps.append(Step(op, Kind.LOG, self.draft.view.uuid, "", log.entry,
                                     self._entry(suffix), log.at_name))

    def _add_link(self, entry: str, suffix: str) -> None:
        self.draft.steps.append(Step(Op.ADD_LINK, Kind.LOG, self.draft.view.uuid, "", entry,
                                     self._entry(suffix)))

    def _share(self, old: str, new: str) -> None:
        self.draft.in_store(Op.SHARE, Kind.LOG, self._entry(old), self.stored[old],
                            self._entry(new))
        self.shared[old] = new
        self.stored[new] = self.stored[old]

    def run(self) -> None:
        """Settle every name, each once no other name points at the store name that it takes."""
        while self.todo:
            ready = [s for s in sorted(self.todo, reverse=True)
                     if not any(t == s for o, t in self.points.items() if o != s)]
            if not ready:
                for log in self.todo.values():
                    self.draft.leave(Kind.LOG, "", log.entry, "rotated logs point at each other")
                    self.settled |= {log.suffix, self.points[log.suffix] or ""}
                return
            self._settle(ready[0])

    def _settle(self, suffix: str) -> None:
        log = self.todo.pop(suffix)
        target = self.points.pop(suffix)
        taken = self.stored.get(suffix)
        if taken is not None and suffix not in self.shared:
            self._displace(suffix, taken)
        if target is None:
            over = suffix in self.stored
            self._emit(Op.REFOLD if over else Op.FOLD, suffix, log)
            self.stored[suffix] = log.at_name
            self.shared.pop(suffix, None)
        else:
            self._share(target, suffix)
            self.shared.pop(suffix, None)
            self._emit(Op.POINT_LINK, suffix, log)
        self.settled.add(suffix)

    def _displace(self, suffix: str, taken: Entry) -> None:
        """The store has a file there that no name refers to: it fell off the end."""
        op = Op.TRASH if taken.is_file else Op.DISCARD
        self.draft.in_store(op, Kind.LOG, self._entry(suffix), taken, "rotated away")
        del self.stored[suffix]

    def finish(self, taken: tuple[LogName, ...], *, log_link: bool) -> None:
        """What is in the store and under no name yet; names that another UUID still has."""
        view = self.draft.view
        alive = "" in self.settled and "" in self.stored
        for suffix in sorted(set(self.stored) - self.settled):
            found = self.stored[suffix]
            entry = self._entry(suffix)
            if suffix in self.shared:
                self.draft.in_store(Op.DROP_STORE, Kind.LOG, entry, found,
                                    self._entry(self.shared[suffix]))
            elif not found.is_file:
                self.draft.in_store(Op.DISCARD, Kind.LOG, entry, found)
            elif alive and suffix:
                # Rotated inside the store (logrotate): the name follows.
                self._add_link(f"{view.name}.log{suffix}", suffix)
            else:
                self.draft.in_store(Op.TRASH, Kind.LOG, entry, found,
                                    f"deleted by libvirt from {view.name}")
        for log in taken:
            if log.suffix == "" and log_link:
                self._emit(Op.POINT_LINK, "", log)
            else:
                self._emit(Op.DROP_LINK, log.suffix, log)
        names = {log.suffix for log in taken} | self.settled
        if log_link and "" not in names:
            self._add_link(f"{view.name}.log", "")


def keep_taken(view: View, bound: frozenset[str]) -> View:
    """Leave names of logs alone that still link to a domain that has a name of its own.

    That domain's own plan moves the link to its name, so that its history is not cut off.
    """
    kept = tuple(
        log for log in view.taken
        if log.at_name.text is None or (log_target(log.at_name.text) or ("",))[0] not in bound
    )
    return view._replace(taken=kept)
