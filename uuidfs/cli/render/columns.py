"""Columns as a terminal shows them: wide and combining letters, its width, its colours.

unicodedata is Python's own: typer brings rich, which could measure, on some hosts only (Debian 12's
python3-typer recommends it, and a server may be without).
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

Paint = Callable[[int, str], str]
"""Number of a column and text of a cell -> the name of a style in STYLES, or ""."""

STYLES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "dim": "2"}

_GAP = 2  # blanks between two columns
_LAST = 28  # the last column is not squeezed below this
_SHRUNK = 12  # nor the one that gives way


class Look(NamedTuple):
    """How text is shown. ``width``: columns of the terminal, None where it is none: then each row
    is one line, however long. ``wide``: UUIDs and paths are whole."""

    width: int | None = None
    colour: bool = False
    wide: bool = False


PLAIN = Look()


def letter_width(letter: str) -> int:
    """How many columns a letter takes: none, one or two."""
    if letter < "\u0300":
        return 1
    if unicodedata.category(letter) in {"Mn", "Me"} or "\u1160" <= letter <= "\u11ff":
        return 0  # the latter: what Korean syllables are made of beside their first letter
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1


def width(text: str) -> int:
    """How many columns a text takes; it has no control characters."""
    return len(text) if text.isascii() else sum(map(letter_width, text))


def clipped(text: str, columns: int) -> str:
    """As much of a text as fits into so many columns."""
    if width(text) <= columns:
        return text
    used = 0
    for at, letter in enumerate(text):
        used += letter_width(letter)
        if used > columns:
            return text[:at]
    return text


def shortened(text: str, columns: int) -> str:
    """The text, or its beginning with an ellipsis where it does not fit."""
    return text if width(text) <= columns else f"{clipped(text, columns - 1)}…"


def padded(text: str, columns: int) -> str:
    """With blanks behind it."""
    return text + " " * max(columns - width(text), 0)


def styled(text: str, style: str, look: Look) -> str:
    """In a colour, or bold, where there are any."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if style and look.colour else text


def wrapped(text: str, columns: int | None, indent: int = 0) -> list[str]:
    """Lines of at most so many columns, all but the first indented. A path is never cut."""
    if columns is None or width(text) <= columns:
        return [text]
    lines = [""]
    for word in _words(text, columns - indent):
        line = f"{lines[-1]} {word}" if lines[-1].strip() else f"{lines[-1]}{word}"
        if width(line) <= columns or not lines[-1].strip():
            lines[-1] = line
        else:
            lines.append(" " * indent + word)
    return lines


def _words(text: str, columns: int) -> Iterator[str]:
    for word in text.split(" "):
        rest = word
        while columns > 1 and "/" not in word and width(rest) > columns:
            yield clipped(rest, columns)
            rest = rest[len(clipped(rest, columns)) :]
        yield rest


def table(
    rows: Sequence[tuple[str, ...]],
    look: Look = PLAIN,
    *,
    shrink: int = 0,
    paint: Paint = lambda _column, _text: "",
) -> list[str]:
    """Columns, each as wide as its widest cell; the first row is the header.

    On a terminal it fits: the column ``shrink`` gives way, and the last one goes on below itself.
    """
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    last = len(widths) - 1
    room = widths[last]
    if look.width is not None:
        before = sum(widths[:-1]) + _GAP * last
        over = before + min(room, _LAST) - look.width
        if over > 0 and shrink != last:
            widths[shrink] = min(widths[shrink], max(widths[shrink] - over, _SHRUNK))
            before = sum(widths[:-1]) + _GAP * last
        room = max(look.width - before, 1)
    lines = []
    for number, row in enumerate(rows):
        cells = []
        for column, cell in enumerate(row[:-1]):
            text = shortened(cell, widths[column]) if column == shrink else cell
            style = "bold" if number == 0 else paint(column, cell)
            cells.append(styled(text, style, look) + " " * max(widths[column] - width(text), 0))
        cut = wrapped(row[last], room if look.width is not None else None)
        style = "bold" if number == 0 else paint(last, row[last])
        lines.append((" " * _GAP).join([*cells, styled(cut[0], style, look)]).rstrip())
        indent = " " * (sum(widths[:-1]) + _GAP * last)
        lines += [f"{indent}{styled(rest, style, look)}" for rest in cut[1:]]
    return lines
