"""docs/libvirt-facts.md and the program that fills its columns."""

import json
from pathlib import Path

import pytest

from tests import facts
from tests.live import test_defects_of_libvirt, test_facts_files, test_facts_running

SCRIPTS = [
    *test_facts_files.READING,
    *test_facts_files.WRITING,
    *test_facts_files.RENAMING,
    *test_facts_files.NAMES,
    *test_facts_running.LOGS,
    *test_facts_running.HOOK,
    *test_facts_running.OTHERS,
]
ROWS = [row for _, row in facts.table_lines(facts.DOCUMENT.read_text())]
NAMES = [row[0] for row in ROWS]


def test_every_mark_names_one_row_and_every_result_has_its_mark() -> None:
    marks = [beginning for script in SCRIPTS for beginning in script.rows]
    marks += [row for rows in test_defects_of_libvirt.FACTS.values() for row in rows]
    marks.append("The order of all these calls")  # tests/live/test_recordings.py
    shown = {facts.row_of(mark, NAMES) for mark in marks}
    assert len(shown) == len(marks)
    assert shown == {row[0] for row in ROWS if row[2:] != [facts.HAND] * 3}


def test_every_row_has_a_result_for_each_version() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(len(row) == 5 and set(row[2:]) <= set(facts.MEANINGS) for row in ROWS)


def test_a_defect_that_a_fact_rests_on_is_in_the_document() -> None:
    titles = [defect.title for defect in test_defects_of_libvirt.DEFECTS_READ]
    for start in test_defects_of_libvirt.FACTS:
        assert len([title for title in titles if title.startswith(start)]) == 1, start


def test_columns_are_filled_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "# Facts\n\n| fact | check | 9.0 | 11.3 | 12.8 |\n| --- | --- | --- | --- | --- |\n"
        "| One | `a \\| b` | yes | - | - |\n| Two | by eye | - | - | - |\n\n| other | table |\n"
    )
    document, said = tmp_path / "facts.md", tmp_path / "said.json"
    document.write_text(text)
    said.write_text(json.dumps({"version": "11.3.0", "rows": {"One": ["no", "because"]}}))
    monkeypatch.setattr(facts, "DOCUMENT", document)
    assert facts.main(["--write", str(said)]) == 0
    assert document.read_text() == text.replace("| yes | - | - |", "| yes | no | - |")


def test_a_mark_that_names_no_row_is_told() -> None:
    with pytest.raises(ValueError, match="0 rows"):
        facts.row_of("Nobody has seen this", NAMES)
