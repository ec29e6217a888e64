"""Plans a domain's logs: a chain of rotations that names and store have to agree on."""

from collections.abc import Container

from uuidfs.files.entry import Entry
from uuidfs.layout.names import MOVED_MARK, log_base, log_entry, log_target
from uuidfs.layout.places import Kind
from uuidfs.layout.trash_label import Reason
from uuidfs.plan.draft import Draft
from uuidfs.plan.steps import Op, Step
from uuidfs.survey.view import LogName


def plan_logs(draft: Draft, bound: Container[str], *, log_link: bool) -> None:
    """Bring the store's rotations in line with the names', highest first.

    Rotating renames links as they are (virtlogd, libvirt 9.0 and 11.3): afterwards NAME.log.0
    points at UUID.log and NAME.log is a regular file. Every name keeps opening the same file
    all the time: a file gets its new name in the store before the link is changed, and a name
    in the store is only taken once no link points at it any more.
    """
    view = draft.view
    if view.name is not None:
        suffixes = {log.suffix for log in (*view.logs, *view.taken, *view.away)}
        suffixes |= {suffix for suffix, _ in view.log_store}
        for base in sorted({"", *map(log_base, suffixes)}):
            chain = _Chain(draft, bound, base)
            for log in view.logs:
                if log_base(log.suffix) == base:
                    chain.add(log)
            chain.adopt(tuple(log for log in view.away if log_base(log.suffix) == base))
            if view.moved is not None:
                chain.keep_taken()
            chain.run()
            chain.finish(log_link=log_link and not base)
    else:
        # Undefined: logs stay under their UUID, with their link. A link without a log was made
        # for a start that never wrote one, or its log is gone.
        stored = {suffix for suffix, _ in view.log_store}
        for log in view.away:
            target = log_target(log.at_name.text or "")
            if target is not None and target[1] not in stored and view.moved is None:
                draft.steps.append(
                    Step(Op.DROP_LINK, Kind.LOG, view.uuid, "", log.entry, expect=log.at_name)
                )
    if view.moved is not None:
        draft.in_store(Op.DISCARD, Kind.LOG, view.uuid + MOVED_MARK, view.moved)


class _Chain:
    """The rotations of one domain's log, by name and in the store, while a plan is made.

    ``base`` is the suffix of the log that is written now: "", or that of a helper's log.
    """

    def __init__(self, draft: Draft, bound: Container[str], base: str = "") -> None:
        self.draft = draft
        self.bound = bound
        self.base = base
        view = draft.view
        self.stored = {s: found for s, found in view.log_store if log_base(s) == base}
        self.taken = {log.suffix: log for log in view.taken if log_base(log.suffix) == base}
        self.todo: dict[str, LogName] = {}  # suffix by name -> what lies there
        self.points: dict[str, str | None] = {}  # suffix by name -> store suffix; None: a file
        self.settled: set[str] = set()  # store suffixes that a name rightly links to
        self.blocked: set[str] = set()  # suffixes that are left alone

    def _entry(self, suffix: str) -> str:
        return log_entry(self.draft.view.uuid, suffix)

    def _target(self, log: LogName) -> str | None:
        target = log_target(log.at_name.text or "")
        if target is None or target[0] != self.draft.view.uuid:
            return None
        return target[1] if log_base(target[1]) == self.base else None

    def add(self, log: LogName) -> None:
        """Take one of the domain's own names into account."""
        target = self._target(log)
        if target == log.suffix:
            self.settled.add(log.suffix)
            if log.suffix not in self.stored and log.suffix != self.base:
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
            self.blocked.add(log.suffix)

    def adopt(self, away: tuple[LogName, ...]) -> None:
        """Logs that a rename left under another name come along, under the same number.

        Where the new name has a log of its own already (the domain was started without the
        hook), the old one goes on as the next higher rotation.
        """
        for log in away:
            target = self._target(log)
            if target is None or target not in self.stored:
                self._emit(Op.DROP_LINK, log.suffix, log)
                continue
            suffix = target
            if suffix in self.settled or self._twin(target) in self.settled:
                # A kill came between this very file's new link, which may have another number,
                # and the old one's end.
                self._emit(Op.DROP_LINK, log.suffix, log)
                continue
            if suffix in self.blocked:
                continue
            if suffix in self.todo:
                self._go_on(target)
            else:
                self._link(suffix)
                self.settled.add(suffix)
            self._emit(Op.DROP_LINK, log.suffix, log)

    def keep_taken(self) -> None:
        """Another domain took the links of logs. Those did not fall off the end: where the new
        name has a log of its own already, they go on as the next higher rotations too."""
        for suffix in sorted(set(self.stored) & set(self.todo)):
            found, referred = self.stored[suffix], suffix in self.points.values()
            if (
                not referred
                and self._twin(suffix) is None
                and found.is_file
                and (not found.same_inode(self.todo[suffix].at_name))
            ):
                self._go_on(suffix)

    def _go_on(self, target: str) -> None:
        """Give a log of the store the next free number."""
        rotations = [s[len(self.base) :] for s in (*self.todo, *self.settled, *self.stored)]
        numbers = [int(r[1:]) for r in rotations if r[1:].isdigit() and r[0] == "."]
        suffix = f"{self.base}.{max(numbers, default=-1) + 1}"
        self._share(target, suffix)
        self._link(suffix)
        self.settled.add(suffix)

    def _emit(self, op: Op, suffix: str, log: LogName) -> None:
        self.draft.steps.append(
            Step(
                op, Kind.LOG, self.draft.view.uuid, "", log.entry, self._entry(suffix), log.at_name
            )
        )

    def _link(self, suffix: str) -> None:
        """Make the name's link, or take it from the domain that had the name before."""
        view = self.draft.view
        if (log := self.taken.pop(suffix, None)) is not None:
            self._mark(log)
            self._emit(Op.POINT_LINK, suffix, log)
        else:
            self.draft.steps.append(
                Step(
                    Op.ADD_LINK,
                    Kind.LOG,
                    view.uuid,
                    "",
                    log_entry(view.name or "", suffix),
                    self._entry(suffix),
                )
            )

    def _mark(self, log: LogName) -> None:
        """Tell a domain that has another name by now that its log's link was not deleted."""
        target = log_target(log.at_name.text or "")
        if target is not None and target[0] in self.bound:
            step = Step(Op.MARK, Kind.LOG, target[0], store_entry=target[0] + MOVED_MARK)
            if step not in self.draft.steps:
                self.draft.steps.append(step)

    def _share(self, old: str, new: str) -> None:
        self.draft.in_store(
            Op.SHARE, Kind.LOG, self._entry(old), self.stored[old], self._entry(new)
        )
        self.stored[new] = self.stored[old]

    def _twin(self, suffix: str) -> str | None:
        """Another store name of the same file, one that a name refers to if there is one."""
        twins = [
            other
            for other, found in self.stored.items()
            if other != suffix and found.same_inode(self.stored[suffix])
        ]
        return min(twins, key=lambda other: (other not in self.settled, other), default=None)

    def run(self) -> None:
        """Settle every name, each once no other name points at the store name that it takes."""
        while self.todo:
            ready = [
                s
                for s in sorted(self.todo, reverse=True)
                if not any(t == s for o, t in self.points.items() if o != s)
            ]
            if not ready:
                for log in self.todo.values():
                    self.draft.leave(Kind.LOG, "", log.entry, "rotated logs point at each other")
                    self.blocked |= {log.suffix, self.points[log.suffix] or self.base}
                return
            self._settle(ready[0])

    def _settle(self, suffix: str) -> None:
        log = self.todo.pop(suffix)
        target = self.points.pop(suffix)
        taken = self.stored.get(suffix)
        # A second name of the same file, left by a kill, is no file that fell off the end.
        twin = taken is not None and (
            taken.same_inode(log.at_name) or self._twin(suffix) is not None
        )
        if taken is not None and not twin:
            if not self.draft.view.logs_known:
                why = "no name refers to the file that its store has, but one could not be read"
                self.draft.leave(Kind.LOG, "", log.entry, why)
                self.blocked |= {suffix, target if target is not None else suffix}
                return
            self._displace(suffix, taken)
        if target is None:
            over = suffix in self.stored
            self._emit(Op.REFOLD if over else Op.FOLD, suffix, log)
            self.stored[suffix] = log.at_name
        else:
            self._share(target, suffix)
            self._emit(Op.POINT_LINK, suffix, log)
        self.settled.add(suffix)

    def _displace(self, suffix: str, taken: Entry) -> None:
        """The store has a file there that no name refers to: it fell off the end."""
        self.draft.trash(Kind.LOG, self._entry(suffix), taken, Reason.ROTATED_AWAY)
        del self.stored[suffix]

    def finish(self, *, log_link: bool) -> None:
        """What is in the store and under no name yet; names that another UUID still has."""
        view = self.draft.view
        alive = self.base in self.settled and self.base in self.stored
        for suffix in sorted(set(self.stored) - self.settled - self.blocked):
            found = self.stored[suffix]
            entry = self._entry(suffix)
            if (twin := self._twin(suffix)) is not None:
                self.draft.in_store(Op.DROP_STORE, Kind.LOG, entry, found, self._entry(twin))
                del self.stored[suffix]
            elif not found.is_file:
                self.draft.in_store(Op.DISCARD, Kind.LOG, entry, found)
            elif (alive and suffix != self.base) or view.moved is not None:
                # Rotated inside the store (logrotate), or its link was taken: the name follows.
                self._link(suffix)
                self.settled.add(suffix)
            elif view.logs_known:
                self.draft.trash(Kind.LOG, entry, found, Reason.DELETED)
        if log_link and "" not in self.settled | self.blocked:
            self._link("")
        for log in self.taken.values():
            self._mark(log)
            self._emit(Op.DROP_LINK, log.suffix, log)
