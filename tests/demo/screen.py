"""How the demo looks: headings, commands, two columns. Colour on terminals only (no-color.org)."""

import os
import re
from collections.abc import Sequence
from typing import TextIO

WIDTH = 80
_COLUMN = 36
_UUID = re.compile(r"([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

BOLD, DIM, RED, GREEN, BLUE, CYAN = "1", "2", "31", "32", "34", "36"


def short(text: str) -> str:
    """The same text with the first four characters of each UUID, also below a heading UUID."""
    return _UUID.sub(r"\1…", text.replace(f"UUID{' ' * 32}", "UUID "))


class Screen:
    """Where the demo is shown."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._colour = to.isatty() and not os.environ.get("NO_COLOR")

    def paint(self, text: str, code: str) -> str:
        """The text in a colour, where colours are shown."""
        return f"\033[{code}m{text}\033[0m" if self._colour and code and text else text

    def line(self, text: str = "") -> None:
        """One line; flushed, since what follows may take a while."""
        print(text, file=self._to, flush=True)  # it is what the demo is for

    def heading(self, text: str) -> None:
        """What the next part shows."""
        self.line()
        self.line(self.paint(text, BOLD))

    def note(self, text: str) -> None:
        """A sentence beside it."""
        self.line(f"  {text}")

    def command(self, text: str, output: str = "", *, most: int = 8) -> None:
        """A command, and what it said: short UUIDs, and no line that would wrap."""
        self.line(f"  {self.paint('$ ' + text, CYAN)}")
        lines = short(output).splitlines()
        for one in lines[:most]:
            self.line("    " + (one if len(one) <= WIDTH - 4 else one[: WIDTH - 5] + "…"))
        if len(lines) > most > 1:
            self.line(self.paint(f"    … {len(lines) - most} more lines", DIM))

    def beside(self, left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]]) -> None:
        """Two lists of lines, each with its colour, beside each other."""
        plain, ours = ("a plain host", RED), ("with uuidfs", GREEN)
        rows = max(len(left), len(right))
        for (one, colour), (other, theirs) in zip(
            [plain, *left, *[("", "")] * (rows - len(left))],
            [ours, *right, *[("", "")] * (rows - len(right))],
            strict=True,
        ):
            gap = " " * (_COLUMN - len(one))
            self.line(f"  {self.paint(one, colour)}{gap}{self.paint(other, theirs)}".rstrip())
