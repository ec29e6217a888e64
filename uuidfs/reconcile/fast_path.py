"""The fast path: what one event can have changed, in a few milliseconds.

Only what needs no knowledge of other domains is done here: a file that libvirt wrote over a
link is folded again. All the rest (a name that is gone, a UUID under another name, a log that
rotated) is left to a full pass, which looks at everything twice before it takes a file away.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

from uuidfs.apply.applier import Applier
from uuidfs.convert.attempt import attempt
from uuidfs.convert.results import Keeping
from uuidfs.errors import Busy, Changed, UuidfsError
from uuidfs.files.directory import opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import (
    ONCE,
    ONCE_MARK,
    config_target,
    helper_tags,
    log_base,
    log_entry,
    log_target,
    marked_once,
    refusal,
    split_log,
)
from uuidfs.layout.places import AUTOSTART, Kind, Layout
from uuidfs.plan.convert import plan_convert
from uuidfs.plan.steps import Op, Plan, Step
from uuidfs.reconcile.names import Names
from uuidfs.reconcile.queue import ChangedName
from uuidfs.runtime.domain_locks import Locks
from uuidfs.survey.identity import Identity, Reader
from uuidfs.survey.scan import scan_files
from uuidfs.survey.surveyor import Surveyor
from uuidfs.survey.view import Pair


class Verdict(Enum):
    """What came of a look at a name."""

    NOTHING_TO_DO = "nothing to do"
    FOLDED = "folded"
    NEEDS_FULL_PASS = "only a full pass can tell"  # noqa: S105 - a pass over all domains
    BUSY = "its lock is held, or libvirt is at work"
    FAILED = "an error"


class Outcome(NamedTuple):
    """A changed name, the UUID that it stands for now, and what was done."""

    changed: ChangedName
    verdict: Verdict
    uuid: str | None = None
    files: int = 0
    reason: str = ""


def fold_changed(
    layout: Layout,
    names: Names,
    changes: Iterable[ChangedName],
    reader: Reader,
    keeper: Callable[[TrustedDirs], Keeping] | None = None,
) -> list[Outcome]:
    """Look at some changes and fold what is to be folded, durable when this returns.

    Refreshes the keepsakes of domains that started or ended, were marked for autostart or
    defined. Never waits for a lock. Errors are in the results; a changed that failed is as it was.
    """
    try:
        with TrustedDirs(layout) as dirs:
            surveyor = Surveyor(dirs, reader)
            with Applier(dirs, "reconciler") as applier:
                one = _FastPath(layout, names, surveyor, applier, keeper)
                return [one.outcome_of(changed) for changed in changes]
    except UuidfsError as error:  # the directories themselves, or their fsync
        return [Outcome(changed, Verdict.FAILED, reason=str(error)) for changed in changes]


class _FastPath:
    def __init__(
        self,
        layout: Layout,
        names: Names,
        surveyor: Surveyor,
        applier: Applier,
        keeper: Callable[[TrustedDirs], Keeping] | None,
    ) -> None:
        self.layout = layout
        self.names = names
        self.surveyor = surveyor
        self.applier = applier
        self.locks = Locks(layout, 0.0)
        self.keeper = keeper(surveyor.dirs) if keeper is not None else None

    def outcome_of(self, changed: ChangedName) -> Outcome:
        try:
            return self._look(changed)
        except (Busy, Changed) as error:
            return Outcome(changed, Verdict.BUSY, reason=str(error))
        except UuidfsError as error:
            return Outcome(changed, Verdict.FAILED, reason=str(error))
        finally:
            self.applier.close_domain()

    def _look(self, changed: ChangedName) -> Outcome:
        kind = changed.kind
        if kind is None:
            return Outcome(changed, self._status(changed))
        if kind is Kind.LOG:
            return Outcome(changed, self._log(changed))
        uuid = self._uuid(changed.name)
        if kind is Kind.CONFIG and changed.entry.endswith(ONCE):
            return Outcome(changed, self._once(changed, uuid), uuid)
        if uuid is None or self.names.uuid(changed.name) not in {None, uuid}:
            return Outcome(changed, Verdict.NEEDS_FULL_PASS, uuid)
        verdict = (
            self._metadata(changed, kind, uuid) if kind.is_metadata else self._config(changed, uuid)
        )
        if verdict is None and not self._log_is_right(changed.name, uuid):
            verdict = Verdict.NEEDS_FULL_PASS
        if verdict is not None:
            return Outcome(changed, verdict, uuid)
        others = self.names.of(uuid)
        if others != (changed.name,) and (others or self._stored(uuid)):
            # A rename in flight, or a domain that came back.
            return Outcome(changed, Verdict.NEEDS_FULL_PASS, uuid)
        return self._fold(changed, kind, uuid)

    def _once(self, changed: ChangedName, uuid: str | None) -> Verdict:
        """A new mark for one autostart is noted at once: a rename can be a moment away, and then
        nothing says whose it was. All else about it is a full pass's."""
        names, store = self.surveyor.dirs.names(Kind.CONFIG), self.surveyor.dirs.store(Kind.CONFIG)
        autostart = names.child(AUTOSTART) if names is not None else None
        if autostart is None or uuid is None or self.names.of(uuid) != (changed.name,):
            return Verdict.NEEDS_FULL_PASS
        with autostart:
            mark = autostart.look(changed.entry)
        if mark is not None and store is not None and mark.same_inode(store.look(uuid + ONCE_MARK)):
            return Verdict.NOTHING_TO_DO
        if mark is None or mark.nlink > 1 or marked_once(changed.entry, mark.text) is None:
            return Verdict.NEEDS_FULL_PASS
        entry = f"{AUTOSTART}/{changed.entry}"
        with self.locks.hold(uuid):
            if self._uuid(changed.name) != uuid:
                return Verdict.NEEDS_FULL_PASS
            step = Step(Op.NOTE_ONCE, Kind.CONFIG, uuid, "", entry, uuid + ONCE_MARK, mark)
            self.applier.run(step)
        return Verdict.NOTHING_TO_DO

    def _uuid(self, name: str) -> str | None:
        """The UUID that the name's config says now; None without a config that can be read."""
        directory = self.surveyor.dirs.names(Kind.CONFIG)
        if directory is None or refusal(name) is not None:
            return None
        entry = f"{name}.xml"
        text = directory.link_text(entry)
        if text is not None:
            return config_target(text)
        identity = self.surveyor.documents.identify(directory, entry)
        if isinstance(identity, str) or identity.root != "domain" or identity.name != name:
            return None
        return identity.uuid

    def _config(self, changed: ChangedName, uuid: str) -> Verdict | None:
        """None when there is a file to fold."""
        if not self._linked(changed.name):
            return None
        # Ours, or libvirt moved the link of another domain here: a pass knows.
        known = self.names.of(uuid) == (changed.name,)
        return Verdict.NOTHING_TO_DO if known else Verdict.NEEDS_FULL_PASS

    def _linked(self, name: str) -> bool:
        directory = self.surveyor.dirs.names(Kind.CONFIG)
        return directory is not None and directory.link_text(f"{name}.xml") is not None

    def _status(self, changed: ChangedName) -> Verdict:
        """A transient domain is bound by its status XML alone: another one may have the name."""
        known = self.names.uuid(changed.name)
        names = self.surveyor.dirs.names(Kind.CONFIG)
        if known is None or names is None:
            return Verdict.NEEDS_FULL_PASS
        if names.look(f"{changed.name}.xml") is not None:
            if self.keeper is not None:  # at its end swtpm has written its state for good
                self.keeper.refresh(known, changed.name)
            return Verdict.NOTHING_TO_DO
        directory = opened(self.layout.status)
        if directory is None:
            return Verdict.NEEDS_FULL_PASS
        with directory:
            identity = self.surveyor.documents.identify(directory, changed.entry)
        same = isinstance(identity, Identity) and identity.uuid == known
        return Verdict.NOTHING_TO_DO if same else Verdict.NEEDS_FULL_PASS

    def _log_is_right(self, name: str, uuid: str) -> bool:
        """Whether the name's log is this domain's, or it has none; or its config is linked.

        Prevents a race with a start: the hook takes a config and a log that both are links as
        settled, so the log's link has to be right before the config's is made. A name that
        another domain had still has that one's. Folding a snapshot folds a plain config too.
        """
        if self._linked(name):
            return True
        directory = self.surveyor.dirs.names(Kind.LOG)
        for entry in directory.list() if directory is not None else ():
            if directory is not None and entry.startswith(f"{name}-"):
                target = log_target(directory.link_text(entry) or "")
                if target is not None and target[0] != uuid and log_base(target[1]):
                    return False  # of a helper of whoever had the name before
        found = directory.look(f"{name}.log") if directory is not None else None
        if found is None:
            # A domain that comes back: its log may be in the store, with no name any more.
            store = self.surveyor.dirs.store(Kind.LOG)
            return store is None or store.look(f"{uuid}.log") is None
        return log_target(found.text or "") == (uuid, "")

    def _stored(self, uuid: str) -> bool:
        directory = self.surveyor.dirs.store(Kind.CONFIG)
        return directory is not None and directory.look(f"{uuid}.xml") is not None

    def _log(self, changed: ChangedName) -> Verdict:
        """Nothing to do when it is our link, to the domain's own log of the same number."""
        parts = split_log(changed.entry)
        directory = self.surveyor.dirs.names(Kind.LOG)
        if parts is None or directory is None:
            return Verdict.NOTHING_TO_DO
        # The disk first: a name that came since the last pass began is not among the names
        # yet, and the pass that is under way may have looked before this log was there.
        uuid = self._uuid(parts[0]) or self.names.uuid(parts[0])
        target = log_target(directory.link_text(changed.entry) or "")
        if uuid is None and helper_tags(parts[0]):
            # A helper's log. Only a pass knows whose it is, and whether a link is right.
            owners = self.names.of(target[0]) if target is not None else ()
            right = [log_entry(name, target[1]) for name in owners if target is not None]
            settled = changed.entry in right
            return Verdict.NOTHING_TO_DO if settled else Verdict.NEEDS_FULL_PASS
        if uuid is None:
            return Verdict.NOTHING_TO_DO  # of no domain: left alone
        return Verdict.NOTHING_TO_DO if target == (uuid, parts[1]) else Verdict.NEEDS_FULL_PASS

    def _metadata(self, changed: ChangedName, kind: Kind, uuid: str) -> Verdict | None:
        """None when there is a file to fold."""
        parent = self.surveyor.dirs.names(kind)
        if parent is None or not changed.entry:
            return Verdict.NEEDS_FULL_PASS
        directory = parent.child(changed.name)
        if directory is None:
            return Verdict.NEEDS_FULL_PASS
        with directory:
            found = directory.look(changed.entry)
        if found is None or not (found.is_file or found.text is not None):
            return Verdict.NEEDS_FULL_PASS
        if found.text == self.layout.link_text(kind, uuid, changed.entry):
            return Verdict.NOTHING_TO_DO
        return None if found.is_file else Verdict.NEEDS_FULL_PASS

    def _fold(self, changed: ChangedName, kind: Kind, uuid: str) -> Outcome:
        misfiled: set[Pair] = set()  # what only a full pass may see to

        def look() -> Plan:
            scan = scan_files(self.layout, changed.name, uuid, kind)
            view = self.surveyor.view(scan, uuid)
            misfiled.update(view.misfiled)
            return plan_convert(self.layout, view, (uuid,), refile=False)

        with self.locks.hold(uuid):
            plan = attempt(self.applier, look, [])
        if plan.problems or misfiled:
            return Outcome(changed, Verdict.NEEDS_FULL_PASS, uuid)
        self.names.learn(changed.name, uuid)
        if self.keeper is not None and kind is Kind.CONFIG:
            self.keeper.refresh(uuid, changed.name)
        verdict = Verdict.FOLDED if plan.steps else Verdict.NOTHING_TO_DO
        return Outcome(changed, verdict, uuid, len(plan.steps))
