import ast
from pathlib import Path

import uuidfs

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
