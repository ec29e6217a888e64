"""Which live test moves which kind of device: moved.json, kept true by the tests themselves.

``moving.move`` notes the kinds of every guest that it has moved. At the end of each test that
passed, every kind that moved.json claims of the test must be among them; so no claim outlives its
proof. ``UUIDFS_MOVED=write`` adds the kinds that no test had yet, with this one.
benchmarks/coverage.py counts a domain as movable only where moved.json has all of its kinds.
"""

import json
import os
from pathlib import Path

from lxml import etree

from tests.support.kinds import kinds

TABLE = Path(__file__).with_name("moved.json")

_noted: set[str] = set()


def claims() -> dict[str, str]:
    """Kind -> the test that moves it, as FILE::FUNCTION or FILE::FUNCTION[PARAMETER]."""
    table: dict[str, str] = json.loads(TABLE.read_text())
    return table


def note(domain: etree._Element) -> None:
    """Note that this domain, in its live XML, has moved."""
    _noted.update(kinds(domain))


def forget() -> None:
    """Begin with a test."""
    _noted.clear()


def unproved(test: str) -> list[str]:
    """The kinds that the table claims of a test that has just passed, and that it did not move."""
    table = claims()
    if os.environ.get("UUIDFS_MOVED") == "write":
        new = table | {kind: test for kind in _noted if kind not in table}
        TABLE.write_text(json.dumps(dict(sorted(new.items())), indent=2) + "\n")
    return sorted(kind for kind, by in table.items() if by == test and kind not in _noted)
