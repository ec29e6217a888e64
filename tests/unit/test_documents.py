"""What people read: lines to type, links, the length of sentences, one order of a removal."""

import re
from pathlib import Path

import pytest

from tests.support.documents import documents, typed_lines, words_in_a_sentence
from tests.support.process import REPOSITORY
from tests.typed.table import PLACES, TABLE, row_of

DOCUMENTS = [*documents(), REPOSITORY / "CHANGELOG.md"]


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def anchors(document: Path) -> set[str]:
    """What #... can lead to: headings, spelled as GitHub does."""
    headings = re.findall(r"(?m)^#+ (.+)$", document.read_text())
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def test_each_line_to_type_is_run_or_has_a_reason() -> None:
    lines = [line for document in documents() for line in typed_lines(document)]
    assert len(lines) > 100
    lost = [f"{one.document}:{one.number}: {one.text}" for one in lines if row_of(one) is None]
    assert lost == [], "run it, or give a reason, in tests/typed/table.py"
    used = {row_of(line) for line in lines}
    assert [row for row in TABLE if row not in used] == [], "fits no line any more"


def test_the_readme_and_the_first_steps_are_run_but_for_fedora() -> None:
    for document in ("README.md", "docs/start.md", "docs/install.md"):
        for line in typed_lines(REPOSITORY / document):
            row = row_of(line)
            assert row is not None
            if row.where not in PLACES:
                assert line.text.startswith(("dnf", "make rpm", "systemctl")), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        path, _, heading = link.partition("#")
        if "://" not in link:
            there = document.parent / path if path else document
            assert there.exists(), link
            assert not heading or heading in anchors(there), link


def test_the_index_has_each_document() -> None:
    index = (REPOSITORY / "docs/index.md").read_text()
    for path in (REPOSITORY / "docs").glob("*.md"):
        assert path.name == "index.md" or f"({path.name})" in index, path.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_sentences_have_fewer_than_25_words_on_average(document: Path) -> None:
    assert 0 < words_in_a_sentence(document.read_text()) < 25


def test_the_measure_of_sentences_sees_long_ones() -> None:
    assert words_in_a_sentence("word " * 40 + ".\n\n    a block of code\n\n| a | table |\n") > 39
    assert words_in_a_sentence("Two of them are here. Each has five words.") == 4.5


@pytest.mark.parametrize("document", documents(), ids=name)
def test_a_removal_has_one_order(document: Path) -> None:
    """First the reconciler, then the hook, then the files: else something is converted again."""
    text = document.read_text().replace("\\-", "-")
    for paragraph in re.split(r"\n\n|\n\.(?:S[HS]|PP|TP|nf)", text):
        places = [
            found.start()
            for pattern in ("systemd remove|disable --now uuidfs", "hook remove", "revert --all")
            if (found := re.search(pattern, paragraph))
        ]
        if "hook remove" in paragraph and "revert --all" in paragraph:
            assert len(places) == 3, f"who stops the reconciler? {paragraph}"
            assert places == sorted(places), paragraph


def test_nobody_is_sent_to_a_mailbox_that_is_not_there() -> None:
    for document in documents():
        assert not re.search(r"[\w.]+@(?!localhost)[\w-]+\.\w+", document.read_text()), document
