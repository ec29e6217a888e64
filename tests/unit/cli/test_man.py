"""The manual pages say what the parser, the configuration and the exit codes say, and no more."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.support.process import REPOSITORY
from uuidfs import __version__, errors
from uuidfs.cli.app import app
from uuidfs.cli.output import EXIT_INTERRUPTED
from uuidfs.settings_keys import KEYS, Configuration

PAGES = sorted((REPOSITORY / "docs/man").glob("*.[58]"))
MAIN = REPOSITORY / "docs/man/uuidfs.8"
TOML = REPOSITORY / "docs/man/uuidfs.toml.5"
# Brought by typer where shellingham is installed, and by click on every command.
COMPLETION = {"--install-completion", "--show-completion"}
HELP = {"-h", "--help"}


def plain(text: str) -> str:
    """Roff without fonts and escapes, line by line."""
    text = re.sub(r"\\f[BIRP]", "", text).replace("\\-", "-").replace("\\ ", " ")
    lines = []
    for line in text.splitlines():
        if line.startswith('.\\"'):
            continue
        words = re.sub(r"^\.(B|I|BR|IR|BI|RB|RI|IB) ?", "", line)
        lines.append(words.replace('"', "") if words != line else line)
    return "\n".join(lines)


def parts(page: Path, macro: str) -> dict[str, str]:
    """Heading -> text of a page's .SH or .SS parts; a part ends where any heading is."""
    found: dict[str, str] = {}
    heading = None
    for line in plain(page.read_text()).splitlines():
        if line.startswith((".SH ", ".SS ")):
            heading = line[4:] if line.startswith(f".{macro} ") else None
            if heading is not None:
                found[heading] = ""
        elif heading is not None:
            found[heading] += line + "\n"
    return found


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command of the parser that does something, as people type it.

    Any: newer typers carry a click of their own.
    """
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
        return
    for name, each in inner.items():
        if not each.hidden:
            yield from commands(each, (*path, name))


def options(command: Any) -> set[str]:
    return {
        text
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.hidden
        for text in (*parameter.opts, *parameter.secondary_opts)
    }


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


PARSER = typer.main.get_command(app)
COMMANDS = dict(commands(PARSER))
DOCUMENTED = parts(MAIN, "SS")
SHARED = parts(MAIN, "SH")["OPTIONS"]


def test_the_commands_are_those_of_the_parser() -> None:
    missing = sorted(set(COMMANDS) - set(DOCUMENTED))
    assert missing == [], f"write .SS parts in docs/man/uuidfs.8 for: {', '.join(missing)}"
    assert sorted(set(DOCUMENTED) - set(COMMANDS)) == [], "commands that are no more"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_are_those_of_the_parser(name: str) -> None:
    text = DOCUMENTED.get(name)
    assert text is not None, f"docs/man/uuidfs.8 has no .SS {name}"
    known = options(COMMANDS[name]) | HELP
    everywhere = {"--root", "--connect", "-c", *HELP}
    missing = sorted(known - everywhere - options_in(text))
    assert missing == [], f"under .SS {name} in docs/man/uuidfs.8: {', '.join(missing)}"
    tags = re.findall(r"^\.TP\n(.*)$", text, re.MULTILINE)
    extra = sorted(options_in("\n".join((text.split(".PP")[0], *tags))) - known)
    assert extra == [], f"uuidfs {name} has no {', '.join(extra)}"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_synopsis_and_a_sentence_are_there(name: str) -> None:
    text = DOCUMENTED[name]
    assert text.startswith(f"uuidfs {name}\n")
    assert re.search(r"^\.PP\n[A-Z]", text, re.MULTILINE), "what it does"
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            assert parameter.metavar.strip("[].") in text.split(".PP")[0], parameter.name


def test_the_options_of_many_commands_are_explained_once() -> None:
    explained = options_in(SHARED)
    assert options(PARSER) | HELP <= explained | COMPLETION
    assert (
        explained
        <= {option for command in (PARSER, *COMMANDS.values()) for option in options(command)}
        | HELP
        | COMPLETION
    )
    for name, command in COMMANDS.items():
        undescribed = {
            option
            for option in options(command) - explained
            if not re.search(rf"^\.TP\n(-\w, )?{option}\b", DOCUMENTED[name], re.MULTILINE)
        }
        assert undescribed == set(), f"under .SS {name}, or for many commands under .SH OPTIONS"


def test_the_exit_codes_are_those_of_the_code() -> None:
    text = parts(MAIN, "SH")["EXIT STATUS"]
    documented = {int(code) for code in re.findall(r"^\.TP\n(\d+)$", text, re.MULTILINE)}
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert documented == codes | {EXIT_INTERRUPTED}


def test_the_keys_and_defaults_are_those_of_the_code() -> None:
    text = parts(TOML, "SH")["KEYS"]
    documented = dict(re.findall(r"^\.TP\n(\S+)\n(?:.|\n)*?^Default: (.*)$", text, re.MULTILINE))
    defaults = Configuration()
    assert documented == {key.dotted: key.write(getattr(defaults, key.attribute)) for key in KEYS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_of_this_version_and_names_itself(page: Path) -> None:
    text = page.read_text()
    assert f'"uuidfs {__version__}"' in text
    name, section = page.name.rsplit(".", 1)
    assert re.search(rf"^\.TH {re.escape(name.upper())} {section} ", text.replace("\\-", "-"), re.M)
    assert re.search(rf"^\.SH NAME\n{re.escape(name)} - ", text.replace("\\-", "-"), re.M)
