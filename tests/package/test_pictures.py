"""The README's pictures show what this version does."""

import re
from pathlib import Path

import pytest

NAMES = {"before.svg", "after.svg", "status.svg"}


def words(path: Path) -> list[str]:
    """The text of a picture, whichever release of rich drew it."""
    found = re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())
    return [text.replace("&#160;", " ").strip() for text in found if text.strip()]


def test_the_pictures_are_of_this_version(tmp_path: Path) -> None:
    pytest.importorskip("rich", reason="the pictures are drawn by rich, which is not here")
    from tests.support import pictures

    pictures.main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == NAMES
    for name in NAMES:
        drawn = words(tmp_path / name)
        assert drawn
        assert words(pictures.DIRECTORY / name) == drawn, "run: python -m tests.support.pictures"
        assert name in (pictures.DIRECTORY.parents[1] / "README.md").read_text()
