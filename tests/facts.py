"""`make facts`: runs what shows a row of docs/libvirt-facts.md, on the libvirt that is here.

    python -m tests.facts            runs, and prints a table
    python -m tests.facts --json     prints {"version": V, "rows": {ROW: [RESULT, REASON]}} instead
    python -m tests.facts --write FILE...   fills the document's columns from such files

A test shows the rows that its marks `fact(BEGINNING)` name. `make facts` fails where a row does
not hold and the column of this version does not say so.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import REPOSITORY

DOCUMENT = REPOSITORY / "docs/libvirt-facts.md"
YES, NO, OLDER, CANNOT, HAND = "yes", "no", "older", "cannot", "-"
MEANINGS = {
    YES: "holds",
    NO: "does not hold",
    OLDER: "this libvirt is older",
    CANNOT: "cannot be run here",
    HAND: "by hand",
}
# Skips of ours that say something about libvirt; any other one, about this machine.
_SKIPS = {"does not have the defect": NO, "is older than the fact": OLDER}


def cells(line: str) -> list[str]:
    r"""The cells of a table's row; ``\|`` is not the end of one."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def table_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row of a table of facts: its line's number and cells, without heads."""
    inside = False
    for number, line in enumerate(text.splitlines()):
        if not line.startswith("|"):
            inside = False
        elif cells(line)[:2] == ["fact", "check"]:
            inside = True
        elif inside and not line.startswith("| ---"):
            yield number, cells(line)


def row_of(beginning: str, rows: list[str]) -> str:
    """The one row that begins so."""
    found = [row for row in rows if row.startswith(beginning)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows of {DOCUMENT.name} begin with: {beginning}")
    return found[0]


class Collector:
    """A plugin: what the tests say of the rows that they are marked with."""

    def __init__(self, rows: list[str]) -> None:
        self.rows = rows
        self.results: dict[str, tuple[str, str]] = {}
        self._of: dict[str, list[str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the marks."""
        for item in items:
            marks = [str(mark.args[0]) for mark in item.iter_markers("fact")]
            self._of[item.nodeid] = [row_of(mark, self.rows) for mark in marks]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the result. A row that two tests show holds when both say so."""
        if report.when == "teardown" or (report.when == "setup" and report.passed):
            return
        result = self._result(report)
        for row in self._of.get(report.nodeid, []):
            before = self.results.get(row)
            if before is None or before[0] == YES:
                self.results[row] = result

    @staticmethod
    def _result(report: pytest.TestReport) -> tuple[str, str]:
        if report.passed:
            return YES, ""
        if report.skipped:
            long = report.longrepr
            reason = str(long[2] if isinstance(long, tuple) else long).removeprefix("Skipped: ")
            return next((_SKIPS[key] for key in _SKIPS if key in reason), CANNOT), reason
        if report.when == "setup":
            return CANNOT, "its preparation failed, see above"
        return NO, f"see above: {report.nodeid}"


def run() -> tuple[str, dict[str, tuple[str, str]]]:
    """Run all that is marked; return libvirt's version, and what holds."""
    rows = [row[0] for _, row in table_lines(DOCUMENT.read_text())]
    collector = Collector(rows)
    os.environ["UUIDFS_FULL_MATRIX"] = "1"
    words = ["-q", "-p", "no:cacheprovider", "--tb=short", "-m", "fact"]
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main([*words, str(REPOSITORY / "tests/live")], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"the tests did not run: {code!r}, see above")
    said = subprocess.run(["virsh", "--version"], capture_output=True, text=True, check=True)
    none = (HAND, "no program checks it")
    return said.stdout.strip(), {row: collector.results.get(row, none) for row in rows}


def write(files: list[Path]) -> None:
    """Fill the columns of the versions that the files are about."""
    lines = DOCUMENT.read_text().splitlines()
    columns = cells(next(line for line in lines if line.startswith("| fact | check |")))
    for file in files:
        said = json.loads(file.read_text())
        column = columns.index(said["version"].rpartition(".")[0])
        for number, row in table_lines("\n".join(lines)):
            row[column] = said["rows"].get(row[0], [HAND])[0]
            lines[number] = f"| {' | '.join(row)} |"
    DOCUMENT.write_text("\n".join(lines) + "\n")


def known(version: str) -> dict[str, str]:
    """What the document's column says of this version; nothing where it has none."""
    text = DOCUMENT.read_text()
    head = next(line for line in text.splitlines() if line.startswith("| fact | check |"))
    column = version.rpartition(".")[0]
    if column not in cells(head):
        return {}
    number = cells(head).index(column)
    return {row[0]: row[number] for _, row in table_lines(text)}


def main(words: list[str]) -> int:
    """Run, or write; 1 where a fact does not hold, and is not known not to."""
    if words[:1] == ["--write"]:
        write([Path(word) for word in words[1:]])
        return 0
    version, results = run()
    if words == ["--json"]:
        print(json.dumps({"version": version, "rows": results}, indent=1))
        return 0
    for row, (result, reason) in results.items():
        short = row if len(row) <= 70 else row[:67] + "..."
        print(f"{short:<70}  {version}  {MEANINGS[result]}{': ' + reason if reason else ''}")
    counts = [f"{MEANINGS[key]}: {[r[0] for r in results.values()].count(key)}" for key in MEANINGS]
    print(f"libvirt {version}: {', '.join(counts)}")
    before = known(version)
    return int(any(result == NO != before.get(row) for row, (result, _) in results.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
