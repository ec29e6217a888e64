"""Brings the firmware of one domain, of some or of all to paths that are made of the UUID."""

import contextlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from uuidfs.errors import EXIT_OK, Busy, Changed, SystemCallFailed, UuidfsError
from uuidfs.files.directory import opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.firmware import kept
from uuidfs.firmware.apply import apply_step
from uuidfs.firmware.definitions import Definitions
from uuidfs.firmware.plan import Mode, Plan, Step, plan_convert, plan_revert
from uuidfs.firmware.results import FirmwareResult, FirmwareRun
from uuidfs.firmware.view import File, View, Views
from uuidfs.host.libvirtd import runs
from uuidfs.host.virsh import NobodyError, SilentError
from uuidfs.layout.places import Layout
from uuidfs.runtime.domain_locks import DEFAULT_TIMEOUT, Locks
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.resolve import uuids_of
from uuidfs.survey.scanner import scan_all

_TRIES = 5
_SILENT = 2  # domains in a row: one may hang by itself, but not two


class FirmwareOptions(NamedTuple):
    """How to run. ``domains`` None stands for all; ``lock_timeout`` in seconds. ``keep``: whether
    hard links to the files are kept (:mod:`uuidfs.firmware.kept`)."""

    mode: Mode = Mode.RENAMED
    domains: tuple[str, ...] | None = None
    dry_run: bool = False
    lock_timeout: float = DEFAULT_TIMEOUT
    keep: bool = True
    between: Callable[[], None] | None = None
    """Called between two domains; what it raises ends the run."""


def convert_firmware(
    layout: Layout, options: FirmwareOptions, definitions: Definitions | None = None
) -> FirmwareRun:
    """Have the definitions name paths that no other domain can get, where the mode says so; and
    note whose each file is, whatever the mode.

    Needs the daemon, and does nothing without it. A domain that fails keeps its path, and the
    others go on. Raises UuidfsError when nothing could be looked at.
    """
    return _Run(layout, options, definitions or Definitions(layout)).all(
        lambda view: plan_convert(view, options.mode)
    )


def revert_firmware(layout: Layout, options: FirmwareOptions) -> FirmwareRun:
    """Have the definitions name libvirt's own paths again, and drop the kept links.

    A path that two domains would share stays as it is, and is reported. Raises as above.
    """
    run = _Run(layout, options._replace(keep=False), Definitions(layout)).all(plan_revert)
    if options.domains is not None or options.dry_run or run.exit_code != EXIT_OK:
        return run
    return run._replace(kept=kept.drop_all(layout))


def _is_noted(file: File) -> bool:
    """Whether there is nothing to note: there is no file, or it has one name and the kept one."""
    there = file.at_entry
    return there is None or (there.nlink == 2 and there.same_inode(file.kept))


class _Run:
    def __init__(self, layout: Layout, options: FirmwareOptions, definitions: Definitions) -> None:
        self.layout = layout
        self.options = options
        self.definitions = definitions
        self.locks = Locks(layout, options.lock_timeout)
        self.silent = 0  # domains in a row about which the daemon said nothing

    def all(self, plan: Callable[[View], Plan]) -> FirmwareRun:
        asked = self.layout.live and runs(self.layout)
        views, chosen = self._look()
        results: list[FirmwareResult] = []
        waiting: list[str] = []
        for uuid in chosen:
            if self.options.between is not None:
                self.options.between()
            try:
                view = views.view(uuid)
            except UuidfsError as error:  # of libvirt's directory: files of other kinds go on
                results.append(FirmwareResult(views.name_of(uuid), uuid, error=str(error)))
                continue
            if view is None:
                continue
            if not self.options.dry_run:
                self._keep(view)
            wanted = plan(view)
            if not wanted.steps or self.options.dry_run:
                if wanted.steps or wanted.problem:
                    results.append(FirmwareResult(view.name, uuid, wanted.steps, wanted.problem))
            elif asked and self.silent >= _SILENT:  # a package's removal waits for this
                results.append(FirmwareResult(view.name, uuid, (), "libvirt does not answer"))
            elif asked:
                results.append(self._one(uuid, view.name, plan))
            else:
                waiting.append(view.name)
        return FirmwareRun(tuple(results), asked, tuple(waiting))

    def _look(self) -> tuple[Views, list[str]]:
        with TrustedDirs(self.layout) as dirs:
            scan = scan_all(Documents(dirs, read_lxml))
            domains, unread = self.definitions.all(dirs, scan)
        rivals = {uuid for uuid, names in scan.names_of.items() if len(names) > 1}
        chosen = [domain.uuid for domain in domains if domain.uuid not in rivals]
        if self.options.domains is not None:
            wanted, _ = uuids_of(scan, self.options.domains)  # convert tells of unknown ones
            chosen = [uuid for uuid in chosen if uuid in wanted]
        defined = None if unread or scan.incomplete else scan.names_of.keys()
        return Views(self.layout, domains, defined), chosen

    def _keep(self, view: View) -> None:
        """Note whose each file is, while nobody else names it.

        Under the lock: the hook takes names away by way of the same directory.
        """
        if not self.options.keep or all(_is_noted(file) for file in view.files):
            return
        with contextlib.suppress(Busy), Locks(self.layout, 0.0).hold(view.uuid):
            self._note(view)

    def _note(self, view: View) -> None:
        for file in view.files:
            try:
                there = file.at_entry
                if there is None or file.others or file.owner not in {None, view.uuid}:
                    continue
                if file.renamed and file.kept is not None and not there.same_inode(file.kept):
                    continue  # it is at the path by its name only
                directory = opened(file.place)
                if directory is None:
                    continue
                with directory:
                    noted = kept.keep(
                        self.layout, view.uuid, file.kind, directory, file.entry, there
                    )
                    if noted and there.nlink > 1:  # it may be noted as another domain's
                        kept.forget_others(self.layout, view.uuid, file.kind, there)
            except UuidfsError:
                continue  # the file is where it was; the next run tries again

    def _one(self, uuid: str, name: str, plan: Callable[[View], Plan]) -> FirmwareResult:
        done: list[Step] = []
        try:
            with self.locks.hold(uuid):
                pass  # says at once that it is busy, or moving to another process
            for _ in range(_TRIES):
                views, _ = self._look()
                view = views.view(uuid)
                if view is None:
                    return FirmwareResult(name, uuid, tuple(done))
                wanted = plan(view)
                left = self._applied(view, wanted.steps, done)
                if left is not None:
                    self.silent = 0
                    problem = "; ".join(p for p in (wanted.problem, *left) if p)
                    return FirmwareResult(view.name, uuid, tuple(done), problem or None)
        except Busy as error:
            return FirmwareResult(name, uuid, tuple(done), str(error), busy=True)
        except SilentError as error:
            self.silent += 1
            return FirmwareResult(name, uuid, tuple(done), str(error))
        except NobodyError:
            return FirmwareResult(name, uuid, tuple(done))  # the daemon has just ended
        except UuidfsError as error:
            return FirmwareResult(name, uuid, tuple(done), str(error))
        return FirmwareResult(name, uuid, tuple(done), "it changes all the time")

    def _applied(
        self, view: View, steps: Iterable[Step], done: list[Step]
    ) -> tuple[str, ...] | None:
        """Do the steps; what stays as it is, with the reason. None where somebody was faster."""
        left: list[str] = []
        for step in steps:
            try:
                said = apply_step(self.layout, view.uuid, step, self.locks)
            except Changed:
                return None
            except OSError as error:
                path = f"{step.place.path}/{step.entry}"
                raise SystemCallFailed(step.op.value, path, error) from error
            if said is None:
                done.append(step)
            else:
                left.append(said)
        return tuple(left)
