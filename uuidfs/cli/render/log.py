"""How lines of a log look: harmless on a terminal, or as JSON, an object a line."""

import json
from datetime import UTC, datetime

from uuidfs.cli.render.text import VERSION
from uuidfs.history.lines import Line
from uuidfs.survey.scan import Problem


def harmless(text: bytes) -> bytes:
    """A line for a terminal. QEMU wrote it, and a guest may have taken QEMU over: no control
    character but tab and the line's end comes through, no byte that is not UTF-8, and nothing that
    turns the direction of writing."""
    line = text.decode("utf-8", "backslashreplace")
    if text.isascii() and line.removesuffix("\n").isprintable():
        return text
    end = next((end for end in ("\r\n", "\n") if line.endswith(end)), "")
    letters = (
        letter
        if letter.isprintable() or letter == "\t"
        else letter.encode("unicode_escape").decode("ascii")
        for letter in line.removesuffix(end)
    )
    return ("".join(letters) + end).encode()


def line_json(line: Line) -> bytes:
    """One line, with the time of the record that it belongs to."""
    text = line.text.decode("utf-8", "backslashreplace").removesuffix("\n")
    return _object({"time": _moment(line.when), "line": text})


def problem_json(problem: Problem) -> bytes:
    """What was left out, and why."""
    return _object({"problem": {"path": problem.path, "reason": problem.reason}})


def _object(fields: dict[str, object]) -> bytes:
    return json.dumps({"version": VERSION, **fields}).encode() + b"\n"


def _moment(when: float | None) -> str | None:
    if when is None:
        return None
    return (
        datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
