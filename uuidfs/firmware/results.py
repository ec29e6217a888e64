"""What a run over the domains' firmware did, or would do."""

from typing import NamedTuple

from uuidfs.errors import EXIT_BUSY, EXIT_FAILED, EXIT_OK
from uuidfs.firmware.plan import Op, Step


class FirmwareResult(NamedTuple):
    """One domain's: the steps that were done, or would be in a dry run; ``error`` says what is
    left as it is, and why. ``busy``: another program is at work on the domain."""

    name: str
    uuid: str
    done: tuple[Step, ...] = ()
    error: str | None = None
    busy: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """The paths that the definition names now."""
        return tuple(step.own_path for step in self.done if step.op is Op.DEFINE)


class FirmwareRun(NamedTuple):
    """All domains with firmware of which there is anything to say.

    ``asked`` is false where no daemon runs that could be asked: then nothing was done, and
    ``waiting`` are the domains for which something is to be done. ``kept`` are the last names of
    files that no domain has.
    """

    domains: tuple[FirmwareResult, ...] = ()
    asked: bool = True
    waiting: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 when something stays as it is, 75 when that is because a domain was busy."""
        if any(d.error is not None and not d.busy for d in self.domains):
            return EXIT_FAILED
        return EXIT_BUSY if any(d.busy for d in self.domains) else EXIT_OK
