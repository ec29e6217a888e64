"""What a run of convert or revert is asked for, and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from uuidfs.errors import EXIT_BUSY, EXIT_FAILED, EXIT_OK
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import NOBODY
from uuidfs.layout.places import Kind, Layout
from uuidfs.plan.steps import Op, Step
from uuidfs.runtime.known_checkpoints import KnownCheckpoints
from uuidfs.survey.identity import Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scan import Problem

# No file's place or link changes by them.
_SILENT = frozenset({Op.PRUNE, Op.MARK, Op.RECORD, Op.NOTE_ONCE})


class DomainResult(NamedTuple):
    """What happened to one domain: the steps that were done, or would be in a dry run.

    ``error`` also tells what was left alone; ``failed`` is set where a step or a look failed.
    """

    name: str | None
    uuid: str
    done: tuple[Step, ...] = ()
    error: str | None = None
    busy: bool = False
    failed: bool = False

    @property
    def files(self) -> int:
        """How many files changed their place or their link."""
        return len({(s.kind, s.entry or s.store_entry) for s in self.done if s.op not in _SILENT})

    def changed(self, layout: Layout) -> tuple[str, ...]:
        """Their paths."""
        paths = (step.path(layout) for step in self.done if step.op not in _SILENT)
        return tuple(dict.fromkeys(paths))

    def steps(self, layout: Layout) -> tuple[str, ...]:
        """The steps in words, as a dry run prints them."""
        return tuple(step.describe(layout) for step in self.done)

    @property
    def label(self) -> str:
        """What people call it."""
        if self.uuid == NOBODY:
            return "no domain"
        return self.name if self.name is not None else self.uuid


class Interrupted(KeyboardInterrupt):
    """Ctrl-C: ``done`` of ``total`` domains are handled, and each other one is as it was or can be
    finished by the next run."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"{done} of {total} domains are done; the same command does the rest")
        self.done = done
        self.total = total


class RunResult(NamedTuple):
    """All that a convert or revert did. ``problems`` belong to no domain that was handled; one
    whose ``path`` is "" is about a word that means no domain, its ``name``.

    ``names`` are those that each UUID was found bound to, more than one where a rename is in
    flight or was cut in half.
    """

    action: str
    layout: Layout
    domains: tuple[DomainResult, ...]
    problems: tuple[Problem, ...] = ()
    dry_run: bool = False
    kept: tuple[str, ...] = ()
    names: Mapping[str, Sequence[str]] = {}

    @property
    def exit_code(self) -> int:
        """1 when something failed, else 75 when a domain was busy, else 0."""
        if self.problems or any(d.error is not None and not d.busy for d in self.domains):
            return EXIT_FAILED
        return EXIT_BUSY if any(d.busy for d in self.domains) else EXIT_OK


class Keeping(Protocol):
    """What a run of convert has to do with keepsakes (:mod:`uuidfs.keepsakes`)."""

    def refresh(self, uuid: str, name: str) -> None:
        """Bring those of a domain up to date. Raises UuidfsError."""

    def drop(self, uuid: str) -> None:
        """Forget those of a domain. Raises UuidfsError."""

    def uuids(self) -> list[str]:
        """Whose there are."""

    def retire(self, uuid: str) -> bool:
        """The domain is gone. Raises UuidfsError."""


class Options(NamedTuple):
    """How to run. ``domains`` None stands for all; ``lock_timeout`` in seconds.

    ``cpus`` above 1 lets a large run use that many processes; not for callers with threads.
    Files of other ``kinds`` are left as they are, plain or converted. ``by`` is who runs this.
    ``checkpoints`` tells which of a UUID's libvirt knows, None when no daemon runs; it may raise
    UuidfsError. Without it a misfiled checkpoint counts as one that libvirt knows. ``starts_once``
    tells whether libvirt itself has a UUID marked for one autostart, None when nobody says. Without
    ``keeper`` keepsakes are left as they are.
    """

    domains: tuple[str, ...] | None = None
    dry_run: bool = False
    lock_timeout: float = 10.0
    reader: Reader = read_lxml
    progress: Callable[[int, int], None] | None = None
    cpus: int = 1
    kinds: frozenset[Kind] = frozenset(Kind)
    by: str = "convert"
    checkpoints: Callable[[Layout, str], KnownCheckpoints | None] | None = None
    starts_once: Callable[[Layout, str], bool | None] | None = None
    keeper: Callable[[TrustedDirs], Keeping] | None = None


def with_progress(options: Options, progress: Callable[[int, int], None]) -> Options:
    """The same options, with something to call after each domain."""
    return options._replace(progress=progress)
