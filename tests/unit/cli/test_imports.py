"""Which modules a command imports: a person waits for each of them."""

import os
import subprocess
import sys
from functools import cache

import pytest

from tests.conftest import Build
from tests.support.process import REPOSITORY, run, uuidfs
from tests.support.trees import sample
from uuidfs.cli.commands import COMMANDS

SHARED = {
    "render.columns",
    "terminal",
    "start",
    "app",
    "commands",
    "lazy",
    "options",
    "output",
    "completion",
}
# Beside the command's own module, below uuidfs.cli and uuidfs.cli.render.
MORE = {
    "convert": {"firmware", "progress"},
    "revert": {"firmware", "progress"},
    "rename": {"migrate", "render.migration"},
    "local-migrate": {"render.migration"},
    "lock": {"render.migration"},
    "session": {"render.migration"},
    "outdated": {"render.outdated"},
}
SLOW = {"lxml", "watchdog", "libvirt", "rich", "prometheus_client", "filelock", "tomllib"}

# Each command is made in a process of its own, which costs no new start of Python.
MAKE_EACH = """
import os, sys
import uuidfs.cli.start, uuidfs.cli.app
from uuidfs.cli.commands import COMMANDS
import typer
parser = typer.main.get_command(uuidfs.cli.app.app)
for name in COMMANDS:
    if os.fork() == 0:
        parser.commands[name]
        os.write(1, (name + " " + " ".join(sys.modules) + "\\n").encode())
        os._exit(0)
    os.wait()
"""

RUN = (
    "import atexit, sys; sys.argv[0] = 'uuidfs'; "
    "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    "from uuidfs.cli.start import main; main()"
)


@cache
def slow() -> set[str]:
    """Those that typer itself does not import; 0.15 imports rich where it is there (Debian 13)."""
    typers = run(sys.executable, "-c", "import sys, typer; print(*sys.modules)").ok().out.split()
    return SLOW - {*typers}


def test_a_command_imports_its_own_modules_only() -> None:
    done = run(sys.executable, "-c", MAKE_EACH, cwd=REPOSITORY).ok()
    found = {name: set(modules) for name, *modules in map(str.split, done.out.splitlines())}
    assert found.keys() == COMMANDS.keys()
    for name, modules in found.items():
        prefix = "uuidfs.cli."
        ours = {each.removeprefix(prefix) for each in modules if each.startswith(prefix)}
        ours -= {*SHARED, "render", "render.text"}
        allowed = {COMMANDS[name].module, *MORE.get(name, ())}
        assert COMMANDS[name].module in ours <= allowed, f"{name}: {sorted(ours - allowed)}"
        assert modules.isdisjoint(slow()), f"{name}: {sorted(modules & slow())}"


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        (["--help"], set()),
        (["status"], {"files", "survey", "plan", "status"}),
        (["path", "vm0000"], {"files", "survey"}),
        (["check"], {"files", "survey", "plan", "check"}),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_what_people_call_all_day_imports_nothing_slow(
    make_tree: Build, words: list[str], stages: set[str]
) -> None:
    root = make_tree(*sample(3)).host.root
    uuidfs(root, "convert", "--all").ok()
    words = [sys.executable, "-c", RUN, "--root", os.fspath(root), *words]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    modules = set(done.stderr.split())
    assert modules.isdisjoint(slow()), modules & slow()
    assert {f"uuidfs.{stage}" for stage in stages} <= modules
    if not stages:
        parts = {each.split(".")[1] for each in modules if each.startswith("uuidfs.")}
        assert parts == {"cli", "durations", "errors", "layout"}
    assert ("typer" in modules) == (words[-1] != "check")
