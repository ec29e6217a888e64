"""Tables on terminals: wide letters, narrow windows, colours."""

import re

import pytest

from uuidfs.cli.render.columns import Look, letter_width, shortened, table, width, wrapped

HEAD = ("NAME", "UUID", "FILES")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", text)


def test_wide_and_combining_letters_keep_the_columns() -> None:
    rows = [HEAD, ("数据库", "dbeae58c", "x"), ("cafe\u0301", "4e26ce7e", "y"), ("web", "ad", "z")]
    lines = table(rows)
    pairs = zip(lines, rows, strict=True)
    assert len({width(line[: line.index(cell)]) for line, (*_, cell) in pairs}) == 1
    letters = "a数\u0301\uff57한\u1161é"
    assert [letter_width(each) for each in letters] == [1, 2, 0, 2, 2, 0, 1]


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_a_table_fits_a_terminal_and_loses_nothing_but_the_end_of_long_names(columns: int) -> None:
    files = "config, 3 logs, 12 snapshots, 1 snapshot unreferenced, 1 checkpoint"
    rows = [HEAD, ("n" * 60, "ad23df54", files), ("虚" * 40, "dbeae58c", files), ("db", "f4", "-")]
    lines = table(rows, Look(columns))
    assert max(map(width, lines)) <= columns
    text = " ".join(" ".join(lines).split())
    for cell in ("ad23df54", "dbeae58c", *files.split()):
        assert cell in text
    whole = table(rows)
    assert len(whole) == len(rows), "where there is no terminal a row is a line"
    assert "n" * 60 in whole[1]


def test_colours_change_no_column() -> None:
    rows = [HEAD, ("数据库", "dbeae58c", "x"), ("web", "ad23df54", "y")]

    def paint(column: int, text: str) -> str:
        return "red" if (column, text) == (0, "web") else ""

    coloured = table(rows, Look(80, colour=True), paint=paint)
    assert [plain(line) for line in coloured] == table(rows, Look(80))
    assert "\x1b[31mweb\x1b[0m" in coloured[2]
    assert "\x1b" not in "".join(table(rows, Look(80), paint=paint))


def test_a_path_stays_in_one_piece() -> None:
    path = "/var/lib/libvirt/by-uuid/snapshot/ad23df54-fe0c-5774-8e88-9d4ec29b6a6a"
    assert path in wrapped(f"left over: {path}", 30, 2)[-1]
    lines = wrapped("n" * 100, 30, 2)
    assert max(map(width, lines)) <= 30
    assert "".join(lines).replace(" ", "") == "n" * 100


def test_what_does_not_fit_ends_with_an_ellipsis() -> None:
    assert shortened("customer-4711", 9) == "customer…"
    assert shortened("数据库数据库", 6) == "数据…"
    assert shortened("web", 3) == "web"
