"""What a look for outdated guests finds."""

from enum import Enum
from typing import NamedTuple

from uuidfs.errors import EXIT_FAILED, EXIT_FOUND, EXIT_OK
from uuidfs.survey.scan import Problem


class ReasonKind(Enum):
    """Why a guest is outdated. The values stand in JSON, and stay."""

    BINARY_REPLACED = "binary-replaced"
    """Another QEMU lies where the running one was started from."""
    BINARY_MISSING = "binary-missing"
    """No file lies there any more: its package was removed, for example."""
    LIBRARY_REPLACED = "library-replaced"
    """The same of a library or a module of QEMU's that the process has mapped."""
    LIBRARY_MISSING = "library-missing"
    EMULATOR_CHANGED = "emulator-changed"
    """The next start would execute another program: by the config, or by a symlink."""
    EMULATOR_MISSING = "emulator-missing"
    """The next start would fail: no program lies where the config says."""


class Reason(NamedTuple):
    """One file that is not what the process executes; ``path`` as the process has it mapped, for
    an emulator as the config has it."""

    kind: ReasonKind
    path: str


class Outdated(NamedTuple):
    """A running guest that a start, or a local migration, would give other code.

    ``emulator`` is what its config names, where that is another program than the running domain
    was started with: a local migration keeps the latter unless it is told (``--emulator``).
    """

    name: str
    uuid: str
    pid: int
    reasons: tuple[Reason, ...]
    emulator: str | None = None


class Looked(NamedTuple):
    """What came of a look: the outdated guests in the order of their names, how many were looked
    at, and what could not be looked at."""

    domains: tuple[Outdated, ...]
    looked: int
    problems: tuple[Problem, ...]

    @property
    def exit_code(self) -> int:
        """3 when a guest is outdated, else 1 when that could not be told of one."""
        if self.domains:
            return EXIT_FOUND
        return EXIT_FAILED if self.problems else EXIT_OK
