"""What to do: a pure function from a view of one UUID to a tuple of steps.

No I/O, no clock, no environment; the same view always gives the same plan. A step says what
it expects to find, so that :mod:`uuidfs.apply` can refuse when that has changed, and so that
a dry run prints exactly what a run does.
"""

from dataclasses import dataclass, field, replace

from uuidfs.documents import log_target
from uuidfs.fs import Entry
from uuidfs.layout import Kind, Layout
from uuidfs.scan import Problem
from uuidfs.survey import LogName, Pair, View


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. ``entry`` is in libvirt's directory, ``store_entry`` in ours.

    ``subdir`` is the domain's name for metadata, else empty. The path that a step is about
    is the name path, or the UUID path where there is no name.
    """

    kind: Kind
    uuid: str
    subdir: str = ""
    entry: str = ""
    store_entry: str = ""
    expect: Entry | None = None

    verb = "handle"

    def describe(self, layout: Layout) -> str:
        """The line that a dry run prints."""
        return f"{self.verb} {self.path(layout)}"

    def path(self, layout: Layout) -> str:
        """The path that changes."""
        if self.entry:
            return f"{layout.name_place(self.kind, self.subdir).path}/{self.entry}"
        return f"{layout.store_place(self.kind, self.uuid).path}/{self.store_entry}"

    def uuid_path(self, layout: Layout) -> str:
        """The path in the store."""
        return f"{layout.store_place(self.kind, self.uuid).path}/{self.store_entry}"


@dataclass(frozen=True, slots=True)
class Fold(Step):
    """The name's regular file (``expect``) goes to the store, a link takes its place."""

    verb = "move"

    def describe(self, layout: Layout) -> str:
        return f"move {self.path(layout)} -> {self.uuid_path(layout)}"


@dataclass(frozen=True, slots=True)
class Refold(Fold):
    """As Fold, where the store has an older version, which the name's file replaces."""

    verb = "move over"

    def describe(self, layout: Layout) -> str:
        return f"move {self.path(layout)} -> {self.uuid_path(layout)} (over an older version)"


@dataclass(frozen=True, slots=True)
class Unfold(Step):
    """The store's file takes the place of the name's link (``expect``)."""

    verb = "move back"

    def describe(self, layout: Layout) -> str:
        return f"move {self.uuid_path(layout)} -> {self.path(layout)}"


@dataclass(frozen=True, slots=True)
class AddLink(Step):
    """Make the name's link where there is nothing."""

    verb = "link"

    def describe(self, layout: Layout) -> str:
        return f"link {self.path(layout)} -> {self.uuid_path(layout)}"


@dataclass(frozen=True, slots=True)
class PointLink(Step):
    """Replace a link of ours (``expect``) by one to ``store_entry``."""

    verb = "point"

    def describe(self, layout: Layout) -> str:
        return f"point {self.path(layout)} -> {self.uuid_path(layout)}"


@dataclass(frozen=True, slots=True)
class DropLink(Step):
    """Remove a link of ours (``expect``)."""

    verb = "remove the link"


@dataclass(frozen=True, slots=True)
class Share(Step):
    """Give the store's file ``store_entry`` (``expect``) the second name ``to_entry`` there."""

    to_entry: str = ""
    verb = "rename"

    def describe(self, layout: Layout) -> str:
        base = layout.store_place(self.kind, self.uuid).path
        return f"rename {base}/{self.store_entry} -> {base}/{self.to_entry}"


@dataclass(frozen=True, slots=True)
class DropStore(Step):
    """Remove a store name of an inode (``expect``) that has its other name by now."""

    twin_entry: str = ""
    verb = "forget"


@dataclass(frozen=True, slots=True)
class Discard(Step):
    """Remove from the store what is not needed: a placeholder, a second name, an old version."""

    room: bool = False
    verb = "clean up"


@dataclass(frozen=True, slots=True)
class Trash(Step):
    """Rename an unreferenced file of the store into its trash."""

    reason: str = ""
    room: bool = False
    verb = "trash"

    def describe(self, layout: Layout) -> str:
        return f"trash {self.path(layout)} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Refile(Step):
    """A checkpoint that domrename wrote into snapshot/NAME goes where libvirt will look.

    libvirt 9.0 and 11.3, docs/libvirt-facts.md "Renaming loses checkpoints".
    """

    verb = "refile"

    def describe(self, layout: Layout) -> str:
        wrong = layout.name_place(Kind.SNAPSHOT, self.subdir).path
        return f"move {wrong}/{self.entry} -> {self.uuid_path(layout)}, link {self.path(layout)}"


@dataclass(frozen=True, slots=True)
class Prune(Step):
    """Remove the UUID's directory in the store, when it is empty."""

    verb = "remove the directory"

    def path(self, layout: Layout) -> str:
        return layout.store_place(self.kind, self.uuid).path


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order, and what is left alone and why."""

    uuid: str
    name: str | None
    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass
class _Draft:
    """A plan in the making."""

    layout: Layout
    view: View
    steps: list[Step] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def finish(self) -> Plan:
        problems = (*self.view.problems, *self.problems)
        return Plan(self.view.uuid, self.view.name, tuple(self.steps), problems)

    def leave(self, kind: Kind, subdir: str, entry: str, reason: str) -> None:
        path = f"{self.layout.name_place(kind, subdir).path}/{entry}"
        self.problems.append(Problem(path, reason, self.view.name))


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
        draft.steps.append(Refile(
            Kind.CHECKPOINT, view.uuid, pair.subdir, pair.entry, pair.entry, pair.at_name
        ))
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


def _step(cls: type[Step], view: View, pair: Pair, expect: Entry | None) -> Step:
    return cls(pair.kind, view.uuid, pair.subdir, pair.entry, pair.store_entry, expect)


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
        draft.steps.append(_step(Fold if stored is None or holder else Refold, view, pair, name))
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
        draft.steps.append(Discard(pair.kind, view.uuid, store_entry=pair.store_entry,
                                   expect=stored))
    elif view.orphan_safe:
        reason = "undefined" if view.name is None else f"deleted by libvirt from {view.name}"
        draft.steps.append(Trash(pair.kind, view.uuid, store_entry=pair.store_entry,
                                 expect=stored, reason=reason))
    # Else something could not be read that may refer to it: it is kept, and status shows it.


def _unfold(draft: _Draft, pair: Pair) -> None:
    view, name, stored = draft.view, pair.at_name, pair.in_store
    if name is not None and name.text is not None:
        if name.text != draft.layout.link_text(pair.kind, view.uuid, pair.store_entry):
            draft.leave(pair.kind, pair.subdir, pair.entry, "a symlink that uuidfs did not make")
        elif stored is None or not stored.is_file:
            draft.leave(pair.kind, pair.subdir, pair.entry, "its file is missing from the store")
        else:
            draft.steps.append(_step(Unfold, view, pair, name))
    elif stored is not None and is_placeholder(draft.layout, pair, view.uuid):
        draft.steps.append(Discard(pair.kind, view.uuid, store_entry=pair.store_entry,
                                   expect=stored))
    elif stored is not None and stored.is_file:
        if name is not None and name.is_file:  # an older version, as folding would replace it
            draft.steps.append(Discard(pair.kind, view.uuid, store_entry=pair.store_entry,
                                       expect=stored))
        else:
            _drop_stored(draft, pair.kind, pair.store_entry, stored, "no name refers to it")


def _drop_stored(draft: _Draft, kind: Kind, entry: str, found: Entry, reason: str) -> None:
    """Whatever is in the store under no name of libvirt's: never removed, always trashed."""
    uuid = draft.view.uuid
    if found.is_file:
        draft.steps.append(Trash(kind, uuid, store_entry=entry, expect=found, reason=reason))
    else:
        draft.steps.append(Discard(kind, uuid, store_entry=entry, expect=found))


def _unfold_log(draft: _Draft, log: LogName, stored: dict[str, Entry]) -> None:
    view = draft.view
    if log.at_name.text is None:
        return
    for suffix in list(stored):
        text = draft.layout.link_text(Kind.LOG, view.uuid, f"{view.uuid}.log{suffix}")
        if log.at_name.text == text and stored[suffix].is_file:
            draft.steps.append(Unfold(Kind.LOG, view.uuid, "", log.entry,
                                      f"{view.uuid}.log{suffix}", log.at_name))
            del stored[suffix]
            return
    prefix = draft.layout.link_prefix(Kind.LOG, view.uuid) + view.uuid
    if log.at_name.text.startswith(prefix):
        # Dangling: made for a start that never wrote a log. A plain host has no file here.
        draft.steps.append(DropLink(Kind.LOG, view.uuid, "", log.entry, expect=log.at_name))


def _leftovers(draft: _Draft) -> None:
    """What a kill left: a second name of a file is removed, an only one is kept in the trash."""
    for left in draft.view.leftovers:
        common = Discard(left.kind, draft.view.uuid, store_entry=left.entry, expect=left.found,
                         room=left.room)
        if left.found.is_file and not left.twin:
            draft.steps.append(Trash(left.kind, draft.view.uuid, store_entry=left.entry,
                                     expect=left.found, reason="left over from a kill",
                                     room=left.room))
        else:
            draft.steps.append(common)


def _prune(draft: _Draft, kind: Kind) -> None:
    """The UUID's metadata directory goes when the steps before leave nothing in it."""
    view = draft.view
    kept = {p.store_entry for p in view.metadata if p.kind is kind and p.in_store is not None}
    if kind not in view.store_dirs:
        return
    for step in draft.steps:
        if step.kind is kind and isinstance(step, (Trash, Discard, Unfold)):
            kept.discard(step.store_entry)
        elif step.kind is kind and isinstance(step, (Fold, Refile)):
            return
    if not kept:
        draft.steps.append(Prune(kind, view.uuid))


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


@dataclass
class _Chain:
    draft: _Draft
    stored: dict[str, Entry]
    todo: dict[str, LogName] = field(default_factory=dict)  # suffix by name -> name
    points: dict[str, str | None] = field(default_factory=dict)  # suffix -> store suffix, or file
    settled: set[str] = field(default_factory=set)  # store suffixes that a name rightly links to
    shared: dict[str, str] = field(default_factory=dict)  # store suffix -> its new suffix

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
                self._emit(DropLink, log.suffix, log)  # its file was rotated in the store
                self.settled.discard(log.suffix)
        elif log.at_name.is_file or (target is not None and target in self.stored):
            self.todo[log.suffix] = log
            self.points[log.suffix] = target
        elif target is not None:
            self._emit(DropLink, log.suffix, log)  # dangling, and under the wrong number
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
                self._emit(DropLink, log.suffix, log)
                continue
            suffix = target
            if suffix in self.todo or (suffix in self.settled):
                numbers = [int(s[1:]) for s in (*self.todo, *self.settled, *self.stored)
                           if s[1:].isdigit() and s[0] == "."]
                suffix = f".{max(numbers, default=-1) + 1}"
                self._emit_share(target, suffix)
            name_entry = f"{view.name}.log{suffix}"
            self.draft.steps.append(AddLink(Kind.LOG, view.uuid, "", name_entry,
                                            self._entry(suffix)))
            self._emit(DropLink, log.suffix, log)
            self.settled.add(suffix)

    def _emit(self, cls: type[Step], suffix: str, log: LogName) -> None:
        self.draft.steps.append(cls(Kind.LOG, self.draft.view.uuid, "", log.entry,
                                    self._entry(suffix), log.at_name))

    def _emit_share(self, old: str, new: str) -> None:
        self.draft.steps.append(Share(Kind.LOG, self.draft.view.uuid,
                                      store_entry=self._entry(old), expect=self.stored[old],
                                      to_entry=self._entry(new)))
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
            self._emit(Refold if over else Fold, suffix, log)
            self.stored[suffix] = log.at_name
            self.shared.pop(suffix, None)
        else:
            self._emit_share(target, suffix)
            self.shared.pop(suffix, None)
            self._emit(PointLink, suffix, log)
        self.settled.add(suffix)

    def _displace(self, suffix: str, taken: Entry) -> None:
        """The store has a file there that no name refers to: it fell off the end."""
        if taken.is_file:
            self.draft.steps.append(Trash(
                Kind.LOG, self.draft.view.uuid, store_entry=self._entry(suffix), expect=taken,
                reason="rotated away",
            ))
        else:
            self.draft.steps.append(Discard(Kind.LOG, self.draft.view.uuid,
                                            store_entry=self._entry(suffix), expect=taken))
        del self.stored[suffix]

    def finish(self, taken: tuple[LogName, ...], *, log_link: bool) -> None:
        """What is in the store and under no name yet; names that another UUID still has."""
        view = self.draft.view
        alive = "" in self.settled and "" in self.stored
        for suffix in sorted(set(self.stored) - self.settled):
            found = self.stored[suffix]
            if suffix in self.shared:
                self.draft.steps.append(DropStore(
                    Kind.LOG, view.uuid, store_entry=self._entry(suffix), expect=found,
                    twin_entry=self._entry(self.shared[suffix]),
                ))
            elif not found.is_file:
                self.draft.steps.append(Discard(Kind.LOG, view.uuid,
                                                store_entry=self._entry(suffix), expect=found))
            elif alive and suffix:
                # Rotated inside the store (logrotate): the name follows.
                self.draft.steps.append(AddLink(Kind.LOG, view.uuid, "",
                                                f"{view.name}.log{suffix}", self._entry(suffix)))
            else:
                self.draft.steps.append(Trash(
                    Kind.LOG, view.uuid, store_entry=self._entry(suffix), expect=found,
                    reason=f"deleted by libvirt from {view.name}",
                ))
        for log in taken:
            if log.suffix == "" and log_link:
                self._emit(PointLink, "", log)
            else:
                self._emit(DropLink, log.suffix, log)
        names = {log.suffix for log in taken} | self.settled
        if log_link and "" not in names:
            self.draft.steps.append(AddLink(Kind.LOG, view.uuid, "", f"{view.name}.log",
                                            self._entry("")))


def keep_taken(view: View, bound: frozenset[str]) -> View:
    """Leave names of logs alone that still link to a domain that has a name of its own.

    That domain's own plan moves the link to its name, so that its history is not cut off.
    """
    kept = tuple(
        log for log in view.taken
        if log.at_name.text is None or (log_target(log.at_name.text) or ("",))[0] not in bound
    )
    return replace(view, taken=kept)
