"""The limits of the issue, and whether a figure keeps its one."""

from collections.abc import Iterable
from dataclasses import dataclass

PEAK_MIB = 150.0
BARE = 2.0
SHELL = 20.0
GROWTH = 11.0
SECOND = 3.0
HOOK_IDLE = 1.25
HOOK_CONVERTS = 6.0


@dataclass(frozen=True)
class Figure:
    """One measured figure. ``limit`` None: for information. ``least``: the limit is a lower one."""

    what: str
    value: float
    limit: float | None = None
    least: bool = False
    detail: str = ""

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.least else self.value <= self.limit

    def line(self) -> str:
        """As a row of a Markdown table."""
        limit = "" if self.limit is None else f"{'≥' if self.least else '≤'} {self.limit:g}"
        verdict = "" if self.limit is None else ("kept" if self.kept else "**missed**")
        return f"| {self.what} | {self.value:.2f} | {limit} | {verdict} | {self.detail} |"


def table(figures: Iterable[Figure]) -> list[str]:
    """All figures as a Markdown table."""
    head = ["| what | figure | limit | | measured |", "| --- | ---: | ---: | --- | --- |"]
    return head + [figure.line() for figure in figures]
