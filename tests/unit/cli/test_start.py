"""The upgrade command goes without typer, and says what it says with it."""

from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import uuidfs
from tests.support.trees import sample
from uuidfs.cli import start


@pytest.mark.parametrize(
    ("words", "root"),
    [
        (["convert", "--all"], ""),
        (["--root", "/r", "convert", "--all"], "/r"),
        (["convert", "--all", "--root", "/r"], "/r"),
        (["convert", "--all", "--json"], None),
        (["--root", "", "convert", "--all"], None),
        (["convert", "--all", "web"], None),
        (["convert"], None),
        (["revert", "--all"], None),
        (["--root", "/r", "convert", "--all", "--root", "/s"], None),
    ],
)
def test_only_the_upgrade_command_goes_without_typer(words: list[str], root: str | None) -> None:
    assert start.whole_tree(words) == root


def test_the_short_way_says_what_the_long_way_says(make_tree: Build, tmp_path: Path) -> None:
    tree = make_tree(*sample(3))
    root = tree.host.root
    (root / "etc/libvirt/qemu/broken.xml").write_text("<domain>")
    short = uuidfs(root, "convert", "--all")
    assert uuidfs(root, "revert", "--all").code == 1
    longer = uuidfs(root, "convert", "--all", "--lock-timeout", "10")
    assert (short.code, short.out, short.err) == (longer.code, longer.out, longer.err)
    assert short.code == 1
    for words in (["convert", "--all"], ["convert", "--all", "--lock-timeout", "1"]):
        done = uuidfs(tmp_path / "nowhere", *words)
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
