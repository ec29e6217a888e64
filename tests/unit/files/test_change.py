import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import uuidfs
from tests.support.process import REPOSITORY
from uuidfs.files import change

ROOT = Path(uuidfs.__file__).parent
CHANGE_NAMES = {
    "os": {
        "link", "makedirs", "mkdir", "mkfifo", "mknod", "remove", "removedirs", "rename",
        "renames", "replace", "rmdir", "symlink", "unlink",
    },
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move", "rmtree"},
}  # fmt: skip
METHODS_OF_PATH = {"hardlink_to", "rmdir", "symlink_to", "write_bytes", "write_text"}


def calls(source: str) -> list[str]:
    """All calls in a module that change names by themselves."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else ""
            if node.func.attr in CHANGE_NAMES.get(name, ()) or node.func.attr in METHODS_OF_PATH:
                found.append(f"{name}.{node.func.attr}")
        if isinstance(node, ast.ImportFrom) and node.module in CHANGE_NAMES:
            found += [
                f"from {node.module} import {alias.name}"
                for alias in node.names
                if alias.name in CHANGE_NAMES[node.module]
            ]
    return found


def test_one_module_changes_names() -> None:
    guilty = {
        str(path.relative_to(ROOT)): found
        for path in sorted(ROOT.rglob("*.py"))
        if (found := calls(path.read_text()))
    }
    assert list(guilty) == ["files/change.py"], guilty


def test_the_search_finds_what_it_is_to_find() -> None:
    assert calls("import os\nos.unlink('x')") == ["os.unlink"]
    assert calls("from shutil import rmtree") == ["from shutil import rmtree"]
    assert calls("Path('x').write_text('y')") == [".write_text"]


TAKES_AWAY = {"exchange", "remove_directory", "rename", "rename_new", "unlink"}
ROW = re.compile(r"\| (\S+\.py) (\w+) \| ([a-z_, ]+) \| \w.+ \|")


def taken_in(tree: ast.AST, bare: set[str], function: str = "") -> Iterator[tuple[str, str]]:
    """Function and call, for each call of files/change.py that takes a name away; ``bare`` are
    the functions that the module imports by themselves."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef) else function
        if isinstance(node, ast.Call):
            owner, _, call = ast.unparse(node.func).rpartition(".")
            if call in TAKES_AWAY and (owner == "change" or (not owner and call in bare)):
                yield function, call
        yield from taken_in(node, bare, inside)


def imported(tree: ast.AST) -> set[str]:
    """What a module imports of files/change.py by itself; never by another name."""
    aliases = [
        alias
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "uuidfs.files.change"
        for alias in node.names
    ]
    assert all(alias.asname is None for alias in aliases)
    return {alias.name for alias in aliases}


def test_every_call_that_takes_a_name_away_is_argued_for() -> None:
    there: dict[tuple[str, str], set[str]] = {}
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for function, call in taken_in(tree, imported(tree)):
            there.setdefault((str(path.relative_to(ROOT)), function), set()).add(call)
    listed = {
        (row[1], row[2]): set(row[3].split(", "))
        for line in (REPOSITORY / "docs/design.md").read_text().splitlines()
        if (row := ROW.fullmatch(line))
    }
    assert listed == there


@pytest.mark.parametrize("what", ["a file", "a link that leads nowhere", "a link to a file"])
def test_what_is_in_the_way_of_a_path_is_told(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").touch()
    way = tmp_path / "way"
    if what == "a file":
        way.touch()
    else:
        way.symlink_to("file" if what == "a link to a file" else "nowhere")
    with pytest.raises(FileExistsError):
        change.make_path(str(way))
