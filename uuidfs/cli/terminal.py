"""The terminal that standard output may be: how wide it is, and whether it has colours."""

import os
import sys

from uuidfs.cli.render.columns import PLAIN, Look

_COLUMNS = 80  # of a terminal that does not say


def look(*, wide: bool = False) -> Look:
    """How results are to look on standard output.

    Colours are for terminals only, and not where NO_COLOR is set (no-color.org) or TERM is "dumb".
    COLUMNS overrides the width, as ncurses has it. ``wide``: lines may be longer than that.
    """
    if sys.stdout is None or not sys.stdout.isatty():
        return PLAIN._replace(wide=wide)
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    colour = not dumb and not os.environ.get("NO_COLOR")
    return Look(None if wide else _columns(), colour, wide)


def _columns() -> int:
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _COLUMNS
    except OSError:
        return _COLUMNS
