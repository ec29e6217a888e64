"""docs/architecture.md names every module, and none that is not there."""

from pathlib import Path

import uuidfs
from tests.support.process import REPOSITORY

ROOT = Path(uuidfs.__file__).parent


def drawn(text: str) -> set[str]:
    """The modules in the drawn trees: a folder's entries stand four columns further right."""
    found: set[str] = set()
    folders: list[str] = []
    for line in text.splitlines():
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        depth = (len(line) - len(line.lstrip())) // 4
        if not 1 <= depth <= 3:
            continue
        if word.endswith("/"):
            folders = [*folders[: depth - 1], word]
        elif word.endswith(".py"):
            found.add("".join(folders[: depth - 1]) + word)
    return found


def test_the_map_and_the_tree_agree() -> None:
    there = {
        str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if path.name != "__init__.py"
    }
    assert drawn((REPOSITORY / "docs/architecture.md").read_text()) == there


def test_no_module_is_longer_than_300_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in ROOT.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert long == {}


def test_no_test_file_is_longer_than_350_lines() -> None:
    long = {
        str(path.relative_to(REPOSITORY)): lines
        for path in (REPOSITORY / "tests").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 350
    }
    assert long == {}


def test_tests_unit_has_no_folder_that_uuidfs_has_not() -> None:
    unit = REPOSITORY / "tests/unit"
    folders = {path.parent.relative_to(unit) for path in unit.rglob("test_*.py")}
    assert folders <= {path.parent.relative_to(ROOT) for path in ROOT.rglob("*.py")}
    assert len(folders) > 10
