"""What a run is made of: choices, processes, a bound; and what an exploration has counted."""

import threading
from dataclasses import dataclass, field

Choice = tuple[str, int]  # go, kill, fail (of the process with that number) or libvirt
Schedule = tuple[tuple[int, Choice], ...]  # at the choice of that number something else is done
LIBVIRT: Choice = ("libvirt", 0)


class Stopped(BaseException):
    """A kill, or the run is over: nothing of this process runs any more."""


@dataclass(frozen=True)
class Bound:
    """``bursts``: how often libvirt may work between two looks; between two changes it may
    always. ``faults``: kills and errors in one run. ``switches``: from one uuidfs to another."""

    bursts: int = 0
    faults: int = 1
    switches: int = 3


@dataclass
class Figures:
    """What was visited. ``ends`` are distinct trees in which nothing of uuidfs runs any more."""

    states: int = 0
    ends: int = 0
    kills: int = 0
    errors: int = 0
    runs: int = 0
    failures: list[str] = field(default_factory=list)

    def counts(self) -> list[int]:
        """What has to be the same in each run."""
        return [self.states, self.ends, self.kills, self.errors, len(self.failures)]

    def __str__(self) -> str:
        return (
            f"{self.states} states, {self.ends} ends, {self.kills} kills, {self.errors} errors "
            f"in {self.runs} runs; {len(self.failures)} failures"
        )


class Process:
    """One uuidfs, in a thread that has the turn or waits for it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.turn = threading.Semaphore(0)
        self.told = "go"
        self.seen = number  # a hash of all answers that it got
        self.calls = 0
        self.over = False

    def sees(self, what: object) -> None:
        self.seen = hash((self.seen, what))
