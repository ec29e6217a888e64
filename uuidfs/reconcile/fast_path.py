"""Settles single spots: what one event can have changed, in a few milliseconds.

Only what needs no knowledge of other domains is done here: a file that libvirt wrote over a
link is folded again. All the rest (a name that is gone, a UUID under another name, a log that
rotated) is left to a full pass, which looks at everything twice before it takes a file away.
"""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from uuidfs.apply.applier import Applier
from uuidfs.errors import Busy, Changed, UuidfsError
from uuidfs.files.directory import closing, opened, opened_below
from uuidfs.files.entry import link_text, look
from uuidfs.files.trusted import Dirs
from uuidfs.layout.names import config_target, log_target, refusal, split_log
from uuidfs.layout.places import Kind, Layout
from uuidfs.plan.convert import plan_convert
from uuidfs.reconcile.queue import Spot
from uuidfs.runtime.domain_locks import Locks
from uuidfs.survey.identity import Identity, Reader
from uuidfs.survey.scan import scan_files
from uuidfs.survey.surveyor import Surveyor

TRIES = 3


class Verdict(Enum):
    """What came of a look at a spot."""

    CALM = "nothing to do"
    FOLDED = "folded"
    WIDER = "only a full pass can tell"
    BUSY = "its lock is held, or libvirt is at work"
    FAILED = "an error"


class Settled(NamedTuple):
    """A spot, the UUID that its name stands for now, and what was done."""

    spot: Spot
    verdict: Verdict
    uuid: str | None = None
    files: int = 0
    reason: str = ""


class Names:
    """Which names each UUID is bound to, as far as the last pass and later folds know."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[str, ...]] = {}
        self._uuids: dict[str, str] = {}
        self._learned: dict[str, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._uuids)

    def replace(self, names: Iterable[tuple[str, Iterable[str]]]) -> None:
        """Take over what a pass found; what was learned while it ran is newer."""
        self._of = {uuid: tuple(of) for uuid, of in names}
        self._of.update(self._learned)
        self._learned = {}
        self._uuids = {name: uuid for uuid, of in self._of.items() for name in of}

    def learn(self, name: str, uuid: str) -> None:
        """Note a domain that was folded for the first time."""
        if self._of.get(uuid) != (name,):
            self._of[uuid] = self._learned[uuid] = (name,)
            self._uuids[name] = uuid

    def of(self, uuid: str) -> tuple[str, ...]:
        """The names of a UUID, none when it is new."""
        return self._of.get(uuid, ())

    def uuid(self, name: str) -> str | None:
        """The UUID that the name was bound to."""
        return self._uuids.get(name)

    def rivals(self) -> list[str]:
        """UUIDs with more than one name."""
        return [uuid for uuid, names in self._of.items() if len(names) > 1]


def settle(layout: Layout, names: Names, spots: Iterable[Spot], reader: Reader) -> list[Settled]:
    """Look at some spots and fold what is to be folded, durable when this returns.

    Never waits for a lock. Errors are in the results; a spot that failed is as it was.
    """
    try:
        with Dirs(layout) as dirs:
            surveyor = Surveyor(dirs, reader)
            with Applier(dirs, "reconciler") as applier:
                one = _Settler(layout, names, surveyor, applier)
                return [one.settle(spot) for spot in spots]
    except UuidfsError as error:  # the directories themselves, or their fsync
        return [Settled(spot, Verdict.FAILED, reason=str(error)) for spot in spots]


class _Settler:
    def __init__(self, layout: Layout, names: Names, surveyor: Surveyor, applier: Applier) -> None:
        self.layout = layout
        self.names = names
        self.surveyor = surveyor
        self.applier = applier
        self.locks = Locks(layout, 0.0)

    def settle(self, spot: Spot) -> Settled:
        try:
            return self._settle(spot)
        except (Busy, Changed) as error:
            return Settled(spot, Verdict.BUSY, reason=str(error))
        except UuidfsError as error:
            return Settled(spot, Verdict.FAILED, reason=str(error))
        finally:
            self.applier.close_domain()

    def _settle(self, spot: Spot) -> Settled:
        if spot.kind is None:
            return Settled(spot, self._status(spot))
        if spot.kind is Kind.LOG:
            return Settled(spot, self._log(spot))
        uuid = self._uuid(spot.name)
        if uuid is None or self.names.uuid(spot.name) not in {None, uuid}:
            return Settled(spot, Verdict.WIDER, uuid)
        if spot.kind is Kind.CONFIG and self._linked(spot.name):
            # Ours, or libvirt moved the link of another domain here: a pass knows.
            return Settled(
                spot, Verdict.CALM if self.names.of(uuid) == (spot.name,) else Verdict.WIDER, uuid
            )
        if spot.kind.is_metadata and (verdict := self._metadata(spot, uuid)) is not None:
            return Settled(spot, verdict, uuid)
        if spot.kind is Kind.CONFIG and not self._own_log(spot.name, uuid):
            return Settled(spot, Verdict.WIDER, uuid)
        others = self.names.of(uuid)
        if others != (spot.name,) and (others or self._stored(uuid)):
            return Settled(spot, Verdict.WIDER, uuid)  # a rename in flight, or a domain come back
        return self._fold(spot, uuid)

    def _uuid(self, name: str) -> str | None:
        """The UUID that the name's config says now; None without a config that can be read."""
        fd = self.surveyor.dirs.names(Kind.CONFIG)
        if fd is None or refusal(name) is not None:
            return None
        entry = f"{name}.xml"
        text = link_text(fd, entry)
        if text is not None:
            return config_target(text)
        path = f"{self.layout.names[Kind.CONFIG].path}/{entry}"
        identity = self.surveyor.documents.identify(fd, entry, path)
        if isinstance(identity, str) or identity.root != "domain" or identity.name != name:
            return None
        return identity.uuid

    def _linked(self, name: str) -> bool:
        fd = self.surveyor.dirs.names(Kind.CONFIG)
        return fd is not None and link_text(fd, f"{name}.xml") is not None

    def _status(self, spot: Spot) -> Verdict:
        """A transient domain is bound by its status XML alone: another one may have the name."""
        known = self.names.uuid(spot.name)
        names = self.surveyor.dirs.names(Kind.CONFIG)
        if known is None or names is None:
            return Verdict.WIDER
        if look(names, f"{spot.name}.xml") is not None:
            return Verdict.CALM
        fd = opened(self.layout.status)
        if fd is None:
            return Verdict.WIDER
        with closing(fd):
            path = f"{self.layout.status.path}/{spot.entry}"
            identity = self.surveyor.documents.identify(fd, spot.entry, path)
        same = isinstance(identity, Identity) and identity.uuid == known
        return Verdict.CALM if same else Verdict.WIDER

    def _own_log(self, name: str, uuid: str) -> bool:
        """Whether the name's log is this domain's, or it has none.

        Prevents a race with a start: the hook takes a config and a log that both are links as
        settled, so the log's link has to be right before the config's is made. A name that
        another domain had still has that one's.
        """
        fd = self.surveyor.dirs.names(Kind.LOG)
        found = look(fd, f"{name}.log") if fd is not None else None
        if found is None:
            # A domain that comes back: its log may be in the store, with no name any more.
            store = self.surveyor.dirs.store(Kind.LOG)
            return store is None or look(store, f"{uuid}.log") is None
        return log_target(found.text or "") == (uuid, "")

    def _stored(self, uuid: str) -> bool:
        fd = self.surveyor.dirs.store(Kind.CONFIG)
        return fd is not None and look(fd, f"{uuid}.xml") is not None

    def _log(self, spot: Spot) -> Verdict:
        """Calm when it is our link, to the domain's own log of the same number."""
        parts = split_log(spot.entry)
        fd = self.surveyor.dirs.names(Kind.LOG)
        if parts is None or fd is None:
            return Verdict.CALM
        # The disk first: a name that came since the last pass began is not among the names
        # yet, and the pass that is under way may have looked before this log was there.
        uuid = self._uuid(parts[0]) or self.names.uuid(parts[0])
        if uuid is None:
            return Verdict.CALM  # of no domain: left alone
        target = log_target(link_text(fd, spot.entry) or "")
        return Verdict.CALM if target == (uuid, parts[1]) else Verdict.WIDER

    def _metadata(self, spot: Spot, uuid: str) -> Verdict | None:
        """None when there is a file to fold."""
        kind = spot.kind or Kind.SNAPSHOT
        parent = self.surveyor.dirs.names(kind)
        if parent is None or not spot.entry:
            return Verdict.WIDER
        path = f"{self.layout.names[kind].path}/{spot.name}"
        fd = opened_below(parent, spot.name, path)
        if fd is None:
            return Verdict.WIDER
        with closing(fd):
            found = look(fd, spot.entry)
        if found is None or not (found.is_file or found.text is not None):
            return Verdict.WIDER
        if found.text == self.layout.link_text(kind, uuid, spot.entry):
            return Verdict.CALM
        return None if found.is_file else Verdict.WIDER

    def _fold(self, spot: Spot, uuid: str) -> Settled:
        kind = spot.kind or Kind.CONFIG
        for attempt in range(TRIES):
            try:
                with self.locks.hold(uuid):
                    scan = scan_files(self.layout, spot.name, uuid, kind)
                    view = self.surveyor.view(scan, uuid)
                    plan = plan_convert(self.layout, view, (uuid,))
                    for step in plan.steps:
                        self.applier.run(step)
                break
            except Changed:  # libvirt wrote again: there is a newer version to fold
                if attempt == TRIES - 1:
                    raise
                self.applier.close_domain()
        if plan.problems or view.misfiled:
            return Settled(spot, Verdict.WIDER, uuid)
        self.names.learn(spot.name, uuid)
        verdict = Verdict.FOLDED if plan.steps else Verdict.CALM
        return Settled(spot, verdict, uuid, len(plan.steps))
