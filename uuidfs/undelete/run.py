"""Brings one domain back.

    1  a mark in kept/UUID says what is under way      a run that was killed is finished by the next
    2  keepsakes get their names back                  before libvirt knows the domain: nobody can
                                                       start it without them
    3  define, snapshots, checkpoints, autostart       through libvirt, parents first
    4  the mark goes, and what libvirt has, out of the trash

libvirt may be at work on the domain from 3 on, and the hook with it: the domain's lock is held all
the time, and the hook gives up after a second.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.errors import Refused, UsageError, UuidfsError, show
from uuidfs.files import change
from uuidfs.files.trusted import TrustedDirs
from uuidfs.firmware.plan import Mode
from uuidfs.firmware.run import FirmwareOptions, convert_firmware
from uuidfs.host.redefine import Back
from uuidfs.host.virsh import NoAnswerError, NobodyError
from uuidfs.keepsakes.sources import AUTOSTART
from uuidfs.keepsakes.tend import keeper
from uuidfs.layout.names import refusal
from uuidfs.layout.places import KEPT, Kind, Layout
from uuidfs.runtime.domain_locks import DEFAULT_TIMEOUT, Locks
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor
from uuidfs.undelete import firmware, libvirt, trashed
from uuidfs.undelete.candidates import Candidate, Part, find, pick
from uuidfs.undelete.documents import Documents, read
from uuidfs.undelete.keepsakes import Keepsakes
from uuidfs.undelete.results import Action, Step, UndeleteResult

BY = "undelete"


class How(NamedTuple):
    """``name``: another one than its last. ``secrets``: what the configuration says about
    keepsakes. ``kinds``: which files have UUID names; ``firmware``: whose definitions change."""

    name: str | None = None
    dry_run: bool = False
    lock_timeout: float = DEFAULT_TIMEOUT
    secrets: bool = True
    kinds: frozenset[Kind] = frozenset(Kind)
    firmware: Mode = Mode.RENAMED


def undelete(layout: Layout, wanted: str, how: How) -> UndeleteResult:
    """Bring a domain back; ``wanted`` is what :func:`uuidfs.undelete.candidates.pick` takes.

    Nothing leaves the trash before libvirt has it. After a kill or an error it can be called
    again. Raises NoSuchDomain, UsageError, Refused when its name or UUID is taken, Busy,
    NoAnswerError when libvirt refuses, SystemCallFailed.
    """
    candidate = pick(find(layout), wanted)
    if how.dry_run:
        return _Undelete(layout, candidate, how).run()
    if not layout.live:
        raise UsageError("undelete needs a libvirt daemon; without one there is trash restore")
    options = Options(
        (candidate.uuid,),
        lock_timeout=how.lock_timeout,
        kinds=how.kinds,
        by=BY,
        keeper=keeper(secrets=how.secrets, by=BY),
    )
    if candidate.config.entry is None:
        # What nobody has seen go yet goes to the trash first, with the evidence for that.
        convert(layout, options)
    with Locks(layout, how.lock_timeout).hold(candidate.uuid):
        candidate = pick(find(layout), candidate.uuid)
        if candidate.config.entry is None:
            raise Refused(
                candidate.config.path,
                "it cannot be told for sure that this domain is gone",
                "uuidfs check says why",
            )
        result = _Undelete(layout, candidate, how).run()
    return result._replace(left=(*result.left, *_follow_up(layout, options, how, candidate.uuid)))


def _follow_up(layout: Layout, options: Options, how: How, uuid: str) -> list[Problem]:
    """What libvirt has written moves behind links, and keepsakes are made anew."""
    mode = FirmwareOptions(how.firmware, (uuid,), lock_timeout=how.lock_timeout)
    try:
        texts = [one.error for one in convert_firmware(layout, mode).domains]
        texts += [one.error for one in convert(layout, options).domains]
    except UuidfsError as error:  # the domain is back all the same
        texts = [str(error)]
    return [Problem(layout.uuid_path(Kind.CONFIG, uuid), text) for text in texts if text]


class _Undelete:
    """One candidate's way back; its lock is held, or it is a dry run."""

    def __init__(self, layout: Layout, candidate: Candidate, how: How) -> None:
        self.layout = layout
        self.candidate = candidate
        self.uuid = candidate.uuid
        self.how = how
        self.known = libvirt.domains(layout) if layout.live else {}
        self.scan = _scan(layout)
        self.name = self._free_name()
        self.documents = self._documents()
        self.steps: list[Step] = []
        self.keepsakes = Keepsakes(layout, candidate, self.name, self.documents.config)
        self.left = [*self.documents.left, *self.keepsakes.left]
        self.refused = False  # libvirt did not take something: it may the next time
        self.back: list[Part] = []  # what need not stay in the trash

    def run(self) -> UndeleteResult:
        """Do it, or tell what would be done."""
        if not self.candidate.bound:
            if not self.how.dry_run:
                trashed.mark(self.layout, self.candidate)
                trashed.keep_log(self.layout, self.scan, self.uuid)
                change.trace("undelete: marked")
            self._define()
        for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
            self._metadata(kind)
        if self.candidate.autostart:
            self._do(
                Action.AUTOSTART, self.name, partial(libvirt.autostart, self.layout, self.uuid)
            )
            self.back += [part for part in self.candidate.of(KEPT) if part.file == AUTOSTART]
        self._forget()
        return UndeleteResult(
            self.uuid,
            self.name,
            tuple(self.steps),
            tuple(self.keepsakes.stays),
            tuple(self.left),
            dry_run=self.how.dry_run,
        )

    def _do(self, action: Action, subject: str, call: Callable[[], object], **how: bool) -> None:
        self.steps.append(Step(action, subject, **how))
        if not self.how.dry_run:
            call()
            change.trace(f"undelete: {action.value}")

    # -- what has to hold ----------------------------------------------------------------

    def _free_name(self) -> str:
        """The name that it gets, or has by now. Raises Refused, UsageError."""
        candidate, wanted = self.candidate, self.how.name
        known = self.known.get(self.uuid)
        if candidate.bound is not None or candidate.running:
            name = candidate.bound or candidate.name
            if self.layout.live and known is None:
                raise Refused(
                    f"{self.layout.names[Kind.CONFIG].path}/{name}.xml",
                    "libvirt has not read it",
                    "restart the libvirt daemon",
                )
            name = known or name
            if wanted not in {None, name}:
                raise UsageError(f"it is there as {show(name)!r} already: virsh domrename")
            return name
        if known is not None:
            raise Refused(
                candidate.config.path,
                f"its UUID belongs to the domain {show(known)!r} now",
                "give that one another UUID, or undefine it",
            )
        name = wanted if wanted is not None else candidate.name
        if (why := refusal(name)) is not None:
            raise UsageError(why)
        is_taken = f"{name}.xml" in self.scan.configs and self.scan.uuid_of.get(name) != self.uuid
        if name in self.known.values() or name in self.scan.uuid_of or is_taken:
            raise Refused(
                candidate.config.path,
                f"its name {show(name)!r} is taken",
                "give it another one: --as NAME",
            )
        return name

    def _documents(self) -> Documents:
        found = read(self.candidate)
        if self.name != self.candidate.name:
            found = found.under(self.name)
        changes = firmware.moves(self.layout, self.scan, self.uuid, found.config)
        return firmware.moved(self.layout, found, changes)

    # -- libvirt -------------------------------------------------------------------------

    def _define(self) -> None:
        """Keepsakes, and then the definition; where libvirt refuses that, as it was before."""
        define = partial(libvirt.define, self.layout, self.documents.config)
        try:
            self.keepsakes.put(self._do)
            self._do(Action.DEFINE, self.name, define)
        except UuidfsError:
            if not self.how.dry_run and self._is_unknown():
                self.keepsakes.take_back()
                trashed.unmark(self.layout, self.uuid)
            raise

    def _is_unknown(self) -> bool:
        """Whether libvirt does not have it for sure. Else the next undelete goes on."""
        try:
            return self.uuid not in libvirt.domains(self.layout)
        except NoAnswerError:
            return False

    def _metadata(self, kind: Kind) -> None:
        """Give libvirt what it does not have of one kind; what it refuses stays in the trash."""
        asks = self.layout.live and (self.candidate.bound is not None or not self.how.dry_run)
        there = libvirt.names(self.layout, kind, self.uuid) if asks else []
        for name, xml in Back(
            kind.value, self.documents.of(kind), dict.fromkeys(there), None
        ).missing():
            part = self.documents.parts[kind, name]
            current = kind is Kind.SNAPSHOT and name == self.documents.current
            action = Action.SNAPSHOT if kind is Kind.SNAPSHOT else Action.CHECKPOINT
            tell = partial(libvirt.redefine, self.layout, kind, self.uuid, xml, current=current)
            try:
                self._do(action, name, tell, current=current)
            except NobodyError:
                raise
            except NoAnswerError as error:
                self.steps.pop()
                self.left.append(Problem(part.path, error.reason))
                self.refused = True
            else:
                self.back.append(part)
        self.back += [
            part
            for (of, name), part in self.documents.parts.items()
            if of is kind and name in there
        ]

    def _forget(self) -> None:
        """What libvirt has leaves the trash, the definition last."""
        for part in (*self.keepsakes.back, *self.back):
            if part.entry is not None:
                forget = partial(trashed.remove, self.layout, part.entry)
                self._do(Action.FORGET, part.path, forget)
        if self.refused:
            return  # the mark stays, and the definition: the next undelete tries again
        if not self.how.dry_run:
            trashed.unmark(self.layout, self.uuid)
        config = self.candidate.config
        if config.entry is not None:
            self._do(Action.FORGET, config.path, partial(trashed.remove, self.layout, config.entry))


def _scan(layout: Layout) -> Scan:
    with TrustedDirs(layout) as dirs:
        return scan_all(Surveyor(dirs, read_lxml).documents)
