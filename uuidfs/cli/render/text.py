"""What all renderers share: one JSON object, numbers with nouns. Tables are in columns."""

from collections.abc import Iterable
from typing import Any

from uuidfs.survey.scan import Problem

VERSION = 1  # of the JSON; fields may be added under the same number


def as_json(**fields: Any) -> str:
    """One JSON object with the version in front; undecodable bytes become escapes."""
    import json  # most runs print none

    return json.dumps({"version": VERSION, **fields}, indent=2)


def as_json_line(**fields: Any) -> str:
    """The same on one line, for a stream of them."""
    import json

    return json.dumps({"version": VERSION, **fields})


def error_json(message: str, exit_code: int) -> str:
    """What ``--json`` prints instead of a result."""
    return as_json(error=message, exit_code=exit_code)


def problems_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    return [{"path": p.path, "reason": p.reason, "name": p.name} for p in problems]


def count(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
