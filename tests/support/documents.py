"""The documents that people read: their shell blocks, and how long their sentences are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.process import REPOSITORY

NOT_TYPED = ("text", "json", "toml", "xml", "ini")


class Line(NamedTuple):
    """One line that can be typed: where it stands, and which block of the document that is."""

    document: str
    number: int
    block: int
    text: str


def documents() -> list[Path]:
    """All that is written for people, but the changelog (no lines) and the tests' own readmes."""
    return [
        *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *sorted((REPOSITORY / "docs").glob("*.md")),
        REPOSITORY / "packaging/ansible/README.md",
        *sorted((REPOSITORY / "docs/man").glob("*.[58]")),
    ]


def typed_lines(document: Path) -> list[Line]:
    """What can be typed: indented and fenced blocks, without comments; a line that goes on by a
    backslash is one with the next."""
    name, found, block = str(document.relative_to(REPOSITORY)), [], 0
    text, began = "", 0
    code = _examples if document.suffix in {".5", ".8"} else _code
    for number, line, new in code(document.read_text()):
        block += new
        bare = re.sub(r"(^|\s)#\s.*$", "", line).strip()
        if not text:
            began = number
        text = f"{text} {bare}".strip()
        if text.endswith("\\"):
            text = text[:-1].strip()
        elif text:
            found.append(Line(name, began, block, text))
            text = ""
    return found


def _examples(text: str) -> Iterator[tuple[int, str, bool]]:
    """The lines of a manual page's EXAMPLES that are not filled."""
    section, inside = "", False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(".SH "):
            section = line[4:]
        elif line in {".nf", ".fi"}:
            inside = line == ".nf"
        elif inside and section == "EXAMPLES":
            yield number, line.replace("\\-", "-").replace("\\e", "\\"), False


def _code(text: str) -> Iterator[tuple[int, str, bool]]:
    """The lines of code with their numbers, and whether a new block begins there."""
    fence: str | None = None
    inside = blank = False
    listed = 0  # an item of a list is indented; code in it by four more
    previous_blank = True
    for number, line in enumerate(text.splitlines(), 1):
        if (found := re.match(r"\s*```(\w*)", line)) is not None:
            fence = None if fence is not None else found[1]
            inside = False
        elif fence is not None:
            if fence not in NOT_TYPED:
                yield number, line, not inside
                inside = True
        elif not line.strip():
            blank = True
        else:
            indent = len(line) - len(line.lstrip())
            if indent < 4:
                item = re.match(r"(\d+\.|-) ", line)
                listed = len(item[0]) if item else (listed if indent else 0)
            if indent >= 4 + (listed if listed == 3 else 0) and (inside or previous_blank):
                yield number, line, not inside or blank
                inside = True
            else:
                inside = False
            blank = False
        previous_blank = not line.strip()


def words_in_a_sentence(text: str) -> float:
    """How long the sentences of a document are on average; code, tables and headings are none."""
    text = re.sub(r"(?ms)^\s*```.*?^\s*```$", "", text)
    prose = [line for line in text.splitlines() if not re.match(r" {4,}|\||#|!\[|\.[A-Z\\]", line)]
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:-|\d+\.) )", "\n".join(prose))
    sentences = [
        sentence.split()
        for paragraph in paragraphs
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z`\"*(\[])", paragraph.strip())
        if len(sentence.split()) > 2
    ]
    return sum(map(len, sentences)) / len(sentences) if sentences else 0.0
