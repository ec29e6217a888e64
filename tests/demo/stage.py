"""How the demo looks: colour on a terminal, two columns, small trees."""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import typer

Span = tuple[str, str]  # a text and its colour, which may be empty
Line = Sequence[Span]

UUID = re.compile(r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
GAP = 3


def coloured() -> bool:
    """Colour is for terminals, and for people who want it (no-color.org)."""
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    return sys.stdout.isatty() and not dumb and not os.environ.get("NO_COLOR")


def width() -> int:
    """Of the screen; on a wide one the columns stay near each other."""
    return max(60, min(shutil.get_terminal_size((90, 24)).columns, 104))


def write(*spans: Span) -> None:
    """One line."""
    typer.echo("".join(_painted(*span) for span in spans), color=coloured())


def _painted(text: str, colour: str) -> str:
    if not colour:
        return text
    bold = colour in {"yellow", "white"}
    return typer.style(text, fg=getattr(typer.colors, colour.upper()), bold=bold)


def title(text: str) -> None:
    """A scene begins."""
    write()
    write((f"── {text} ".ljust(width(), "─"), "yellow"))


def remark(*lines: str) -> None:
    """What a person should see in it."""
    write()
    for line in lines:
        write((line, "magenta"))


def command(*lines: str) -> None:
    """What is typed."""
    write()
    for line in lines:
        write(("# ", "bright_black"), (line, "white"))


def said(text: str, colour: str = "") -> None:
    """What a command printed, as much of it as the screen is wide."""
    for line in text.rstrip("\n").splitlines():
        write(*_cut([("  " + line, colour)], width()))


def columns(left: Sequence[Line], right: Sequence[Line]) -> None:
    """The plain host, and beside it the one with uuidfs."""
    half = (width() - GAP) // 2
    rule = [("plain libvirt", "red")], [("with uuidfs", "green")]
    for one, other in zip_longest([rule[0], *left], [rule[1], *right], fillvalue=()):
        cut = _cut(one, half)
        length = sum(len(text) for text, _ in cut)
        write(*cut, (" " * (half - length) + " │ ", "bright_black"), *_cut(other, half))


def _cut(line: Line, room: int) -> list[Span]:
    """As much of a line as a column has room for."""
    result: list[Span] = []
    for text, colour in line:
        result.append((text if len(text) <= room else text[: max(room - 1, 0)] + "…", colour))
        room -= len(result[-1][0])
        if room <= 0:
            break
    return result


def short(text: str) -> str:
    """Text with the first digits of its UUIDs only."""
    return UUID.sub(r"\1…", text)


def tree(top: Path, label: str, suffix: str) -> list[Line]:
    """The files of domains in one directory, and in its store; links with their targets."""
    lines: list[Line] = [[(label, "blue")]]
    entries = [each for each in sorted(top.iterdir()) if _shown(each, suffix)]
    for number, each in enumerate(entries):
        last = number == len(entries) - 1
        lines.append([("└ " if last else "├ ", "bright_black"), *_entry(each)])
        if each.is_dir():
            inside = sorted(each.glob(f"*{suffix}"))
            for inner in inside:
                guide = ("  " if last else "│ ") + ("└ " if inner == inside[-1] else "├ ")
                lines.append([(guide, "bright_black"), *_entry(inner)])
    return lines


def _shown(path: Path, suffix: str) -> bool:
    return path.name == "by-uuid" or (path.name.endswith(suffix) and path.stem != "gone")


def _entry(path: Path) -> Line:
    name = short(path.name)
    if path.is_symlink():
        return [(name, "cyan"), (" → ", "bright_black"), (short(str(path.readlink())), "green")]
    return [(name, "blue" if path.is_dir() else "")]
