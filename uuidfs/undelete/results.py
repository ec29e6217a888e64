"""What an undelete is about to do, or did."""

from enum import Enum
from typing import NamedTuple

from uuidfs.errors import EXIT_FAILED, EXIT_OK
from uuidfs.survey.scan import Problem


class Action(Enum):
    """One step. The value is what JSON calls it."""

    PUT_BACK = "put-back"
    """A keepsake gets its name back."""
    DEFINE = "define"
    SNAPSHOT = "snapshot"
    CHECKPOINT = "checkpoint"
    AUTOSTART = "autostart"
    FORGET = "forget"
    """What libvirt has by now leaves the trash."""


class Step(NamedTuple):
    """``subject``: a path for PUT_BACK and FORGET, else the name of what libvirt is given.
    ``current``: of a snapshot, that it is the domain's current one."""

    action: Action
    subject: str
    current: bool = False


class UndeleteResult(NamedTuple):
    """The steps that were done, or would be in a dry run, in their order.

    ``stays`` is what something else is in the place of, or may not come back: it stays in the
    trash. ``left`` is what should have come back and cannot.
    """

    uuid: str
    name: str
    steps: tuple[Step, ...]
    stays: tuple[Problem, ...] = ()
    left: tuple[Problem, ...] = ()
    dry_run: bool = False

    @property
    def exit_code(self) -> int:
        """1 when something could not come back, else 0."""
        return EXIT_FAILED if self.left else EXIT_OK
