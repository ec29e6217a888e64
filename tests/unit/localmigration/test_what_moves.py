"""The table of what moves, in docs/local-migration.md: whatever it claims has a test."""

import ast
import re

from tests.support.process import REPOSITORY

LIVE = REPOSITORY / "tests/live"


def rows() -> list[list[str]]:
    text = (REPOSITORY / "docs/local-migration.md").read_text()
    table = text.partition("## What moves\n")[2].partition("\n\n**")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_row_of_what_moves_names_a_live_test_that_exists() -> None:
    found = rows()
    assert len(found) > 15
    for device, moves, refused, tests in found:
        assert moves or refused, device
        named = re.findall(r"(test_\w+\.py)(?:::(\w+))?", tests)
        assert named or not moves, device
        for file, function in named:
            tree = ast.parse((LIVE / file).read_text())
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert not function or function in functions, f"{device}: {file}::{function}"
