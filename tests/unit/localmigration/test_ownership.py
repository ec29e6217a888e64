"""Disks are given back to whom they belonged, and nothing else is."""

import json
import os
from pathlib import Path

import pytest
from lxml import etree

from uuidfs.localmigration.ownership import Disks, give_back_remembered

OWN = os.geteuid(), os.getegid()
NOBODY = [65534, 65534]


def live(*paths: Path) -> etree._Element:
    disks = "".join(f"<disk><source file='{path}'/></disk>" for path in paths)
    return etree.fromstring(f"<domain><devices>{disks}</devices></domain>")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that somebody would be given; only root may."""
    found: list[str] = []
    monkeypatch.setattr(os, "chown", lambda path, *_owner: found.append(os.readlink(path)))
    return found


def remembered(tmp_path: Path, *disks: Path) -> Path:
    """A peer's directory of a guest whose disks are somebody else's by now."""
    kept = tmp_path / "peer"
    kept.mkdir()
    held = Disks(live(*disks), OWN)
    held.remember(str(kept))
    held.close()
    file = kept / "disks.json"
    assert file.stat().st_mode & 0o777 == 0o600
    known = json.loads(file.read_text())
    assert known["owner"] == list(OWN)
    file.write_text(json.dumps({**known, "owner": NOBODY}))
    return kept


def test_what_is_still_there_is_given_back(tmp_path: Path, given: list[str]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).touch()
    kept = remembered(tmp_path, tmp_path / "one", tmp_path / "two", tmp_path / "three")
    give_back_remembered(str(kept))
    assert given == [str(tmp_path / "one"), str(tmp_path / "two")]


def test_another_file_at_its_path_is_left_alone(tmp_path: Path, given: list[str]) -> None:
    for name in ("replaced", "link", "gone", "secret"):
        (tmp_path / name).touch()
    kept = remembered(tmp_path, *(tmp_path / name for name in ("replaced", "link", "gone")))
    (tmp_path / "replaced").rename(tmp_path / "kept")
    (tmp_path / "replaced").touch()
    (tmp_path / "link").rename(tmp_path / "kept too")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "gone").rename(tmp_path / "kept as well")
    give_back_remembered(str(kept))
    assert given == []


def test_without_a_list_nothing_is_given(tmp_path: Path, given: list[str]) -> None:
    give_back_remembered(str(tmp_path))
    assert given == []
