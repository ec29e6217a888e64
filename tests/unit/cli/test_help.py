"""``--help``: commands by use, whole sentences, examples that the parser takes, no Python types."""

import os
import re
import shlex
from typing import Any

import pytest
import typer

from tests.support.process import run, uuidfs, uuidfs_words
from uuidfs.cli.app import app
from uuidfs.cli.commands import COMMANDS, PANELS
from uuidfs.cli.lazy import split, summary

PARSER = typer.main.get_command(app)
WIDTH = 80


def walk(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """Groups and commands; Any: newer typers carry a click of their own."""
    found = [(" ".join(path), command)]
    for name, each in getattr(command, "commands", {}).items():
        found += walk(each, (*path, name))
    return found


ALL = dict(walk(PARSER))


def text_of(command: Any) -> str:
    how: dict[str, Any] = {"resilient_parsing": True, "terminal_width": WIDTH}
    with command.make_context("uuidfs", [], **how) as context:
        return str(command.get_help(context))


def test_the_commands_are_in_panels_the_common_ones_first() -> None:
    said = text_of(PARSER)
    places = [said.index(f"\n{title}:\n") for title, _ in PANELS]
    assert places == sorted(places)
    order = [each.name for _, commands in PANELS for each in commands]
    lines = re.findall(r"^  ([a-z][a-z-]+) {2,}[A-Z]", said, re.MULTILINE)
    assert lines == order == list(COMMANDS)
    assert order[:2] == ["status", "check"]
    assert said.index("\n  reconcile ") < said.index("\nOptions:\n") < said.index("\nExamples:\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says_and_on_one_line(name: str) -> None:
    line = COMMANDS[name].summary
    assert line == summary(ALL[name].help)
    assert len(f"  {'local-migrate'}  {line}") <= WIDTH
    assert re.fullmatch(r"[A-Z].*[.]", line)


@pytest.mark.parametrize("name", [name for name in ALL if name])
def test_help_is_for_people(name: str) -> None:
    command = ALL[name]
    said = text_of(command)
    assert max(map(len, said.splitlines())) <= WIDTH
    for odd in ("TEXT", "INTEGER", "FLOAT", "PATH", "<", "list[", "x>=", "\\", "\b", "..]"):
        assert odd not in said, odd
    for parameter in command.params:
        assert re.match(r"[A-Z].*[.\"]$", parameter.help, re.DOTALL), parameter.name
        if parameter.param_type_name == "argument":
            assert parameter.metavar in said.splitlines()[0]


@pytest.mark.parametrize("name", [n for n in ALL if n and not hasattr(ALL[n], "commands")])
def test_each_command_has_examples_that_the_parser_takes(name: str) -> None:
    examples = split(ALL[name].help)[1]
    assert examples
    assert text_of(ALL[name]).endswith("".join(f"\n  {line}" for line in examples))
    ours = 0
    for line in examples:
        typed = re.split(r" {2,}", line)[0]
        for words in re.findall(r"uuidfs ([^|&)]*)", typed.replace('"$(', "")):
            if re.match(name, words):
                ours += 1
                arguments = shlex.split(words.strip())[len(name.split()) :]
                with ALL[name].make_context(name, arguments) as context:
                    assert context.params
    assert ours or "systemctl" in examples[0]


def test_help_is_the_same_on_any_terminal() -> None:
    """typer 0.7 would ask rich, where that is installed, for boxes and colours."""
    words = uuidfs_words(None, "convert", "--help")
    plain = run(*words, cwd=os.getcwd()).out
    forced = run(*words, cwd=os.getcwd(), env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"})
    assert forced.out == plain
    assert "\x1b" not in plain


@pytest.mark.parametrize("words", [["--help"], ["status", "--help"], ["trash"]], ids=" ".join)
def test_a_closed_output_is_one_line(words: list[str]) -> None:
    shell = 'exec "$@" >&-'
    done = run("sh", "-c", shell, "sh", *uuidfs_words(None, *words), cwd=os.getcwd())
    assert done.code == 2
    assert done.err == "uuidfs: standard output is closed, and that is where help goes\n"


def test_a_command_after_two_dashes_has_options_of_its_own(tmp_path: Any) -> None:
    assert text_of(ALL["lock"]).startswith("Usage: uuidfs [OPTIONS] DOMAIN -- COMMAND...")
    done = uuidfs(tmp_path, "lock", "nobody", "--", "ls", "--help")
    assert (done.code, done.out) == (1, "")
