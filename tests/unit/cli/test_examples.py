"""What documents and manual pages say to type of uuidfs: such commands and options exist.

A quick look at the words only; tests/typed runs the lines themselves.
"""

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.support.process import REPOSITORY
from tests.unit.cli.test_man import COMMANDS, HELP, PAGES, options, parts, plain

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
GLOBAL = {"--root", "--connect", "-c", "--version", *HELP}
END = re.compile(r"\s#\s|\s*(?:\|\||&&|[;|)]|\|)(?:\s|$)|\.\.\.|…")


def lines() -> Iterator[tuple[str, str]]:
    """Where, and what stands behind "uuidfs" in blocks of code and EXAMPLES."""
    for document in DOCUMENTS:
        text = document.read_text().replace("\\\n", " ")
        for line in re.findall(r"(?m)^ {4,}(?:[#$] )?(uuidfs .*)$", text):
            yield document.name, line
        for line in re.findall(r"`(uuidfs [^`\n]+)`", text):
            yield document.name, line
    for page in PAGES:
        for line in re.findall(r"(?m)^(uuidfs .*)$", parts(page, "SH")["EXAMPLES"]):
            yield page.name, plain(line)


def command_of(words: list[str]) -> str | None:
    for length in (2, 1):
        if " ".join(words[:length]) in COMMANDS:
            return " ".join(words[:length])
    return None


def test_every_manual_page_has_examples() -> None:
    for page in PAGES:
        assert "\n" in parts(page, "SH")["EXAMPLES"].strip(), page.name


@pytest.mark.parametrize(("place", "line"), sorted(set(lines())))
def test_the_command_and_its_options_exist(place: str, line: str) -> None:
    typed = END.split(line, maxsplit=1)[0]
    words = [word for word in shlex.split(typed.replace("'", ""))[1:] if word not in {"]", ")"}]
    while words and words[0].startswith("-"):
        flag = words.pop(0)
        assert flag.partition("=")[0] in GLOBAL, f"{place}: {line}"
        if flag in {"--root", "--connect", "-c"}:
            words.pop(0)
    if not words:
        return
    command = command_of(words)
    groups = {name.split()[0] for name in COMMANDS if " " in name}
    if command is None and words[0] in groups and len(words) == 1:
        return  # a group as a whole, such as "uuidfs trash"
    assert command is not None, f"{place}: {line}"
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    unknown = given - options(COMMANDS[command]) - GLOBAL
    assert not unknown, f"{place}: {line}: no {unknown}"
