"""What upgrades and boots run goes without typer, and says what it says with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_save
from tests.support.process import REPOSITORY, uuidfs
from tests.support.trees import domain_xml, sample, uuid_for
from uuidfs.cli import start


@pytest.mark.parametrize(
    ("words", "root", "rest"),
    [
        (["convert", "--all"], "", ["convert", "--all"]),
        (["--root", "/r", "convert", "--all"], "/r", ["convert", "--all"]),
        (["check", "--repair", "--root", "/r"], "/r", ["check", "--repair"]),
        (["convert", "--all", "--json"], "", ["convert", "--all", "--json"]),
        (["--root", "", "convert", "--all"], "", ["--root", "", "convert", "--all"]),
        (
            ["--root", "/r", "check", "--root", "/s"],
            "",
            ["--root", "/r", "check", "--root", "/s"],
        ),
        ([], "", []),
    ],
)
def test_the_root_is_told_from_the_words(words: list[str], root: str, rest: list[str]) -> None:
    assert start.whole_tree(words) == (root, rest)


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


def test_a_repair_says_the_same_the_short_way_and_the_long_way(
    make_tree: Build, tmp_path: Path
) -> None:
    tree = make_tree(*sample(3))
    root = tree.host.root
    assert uuidfs(root, "convert", "--all").code == 0
    said = []
    for words in (["check", "--repair"], ["check", "--repair", "--lock-timeout", "10"]):
        assert uuidfs(root, *words).out == "nothing found\n"
        libvirt_save(tree.host.config_of("vm0000"), domain_xml("vm0000", uuid_for("vm0000"), "new"))
        (root / "etc/libvirt/qemu/broken.xml").write_text("<domain>")
        done = uuidfs(root, *words)
        assert tree.host.config_of("vm0000").is_symlink()
        (root / "etc/libvirt/qemu/broken.xml").unlink()
        said.append((done.code, done.out, done.err))
        nowhere = uuidfs(tmp_path / "nowhere", *words)
        assert (nowhere.code, nowhere.out, len(nowhere.err.splitlines())) == (2, "", 1)
    assert said[0] == said[1]
    assert said[0][0] == 3
    assert "repaired: " in said[0][1]


SLOW = ("dataclasses", "lxml", "subprocess", "tomllib", "typer", "filelock", "pathlib", "inspect")


def test_a_boot_with_nothing_to_repair_imports_nothing_slow(make_tree: Build) -> None:
    """libvirt waits for it: on an emulated host the imports alone once took more than a minute."""
    root = make_tree(*sample(3)).host.root
    assert uuidfs(root, "convert", "--all").code == 0
    (root / "etc/uuidfs").mkdir()
    (root / "etc/uuidfs/uuidfs.toml").write_text('lock-timeout = "20s"\n')
    code = (
        "import atexit, sys; sys.argv[0] = 'uuidfs'; "
        "atexit.register(lambda: print(*sys.modules)); "
        "from uuidfs.cli.start import main; main()"
    )
    words = [sys.executable, "-c", code, "--root", os.fspath(root), "check", "--repair"]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "uuidfs.check" in modules
    assert modules.isdisjoint(SLOW), modules.intersection(SLOW)
