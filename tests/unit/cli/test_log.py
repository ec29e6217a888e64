"""uuidfs log on a terminal: what QEMU wrote does nothing to it."""

import os
import subprocess

from tests.conftest import Build
from tests.support.process import REPOSITORY, uuidfs_words
from tests.support.terminal import run_on_a_terminal
from tests.support.trees import Domain, Tree, uuid_for
from uuidfs.cli.render.log import harmless


def on_terminal(tree: Tree, *words: str) -> bytes:
    """What a command writes to a terminal, with the terminal's own line ends undone."""
    code, said = run_on_a_terminal(uuidfs_words(tree.host.root, *words), os.environ)
    assert code == 0
    return said


def test_control_characters_come_through_to_a_pipe_only(make_tree: Build) -> None:
    tree = make_tree(Domain("a", uuid_for("a"), log_suffixes=()))
    text = "\x1b]0;title\x07\x9b2J \u202edrow \xe9\ttab\u2028".encode() + b"\xff\x00\n"
    tree.host.log_of("a").write_bytes(text)
    shown = on_terminal(tree, "log", "a")
    expected = "\\x1b]0;title\\x07\\x9b2J \\u202edrow \xe9\ttab\\u2028\\xff\\x00\n"
    assert shown.decode() == expected
    words = uuidfs_words(tree.host.root, "log", "a")
    assert subprocess.run(words, cwd=REPOSITORY, capture_output=True, check=True).stdout == text


def test_every_byte_but_tab_and_the_lines_end_is_harmless() -> None:
    for code in range(256):
        shown = harmless(b"a" + bytes([code]) + b"b\n").decode()
        assert shown.endswith("b\n")
        assert shown.removesuffix("\n").replace("\t", "").isprintable() or code == 10
    assert harmless(b"dos\r\n") == b"dos\r\n"
    assert harmless(b"\rover\n") == b"\\rover\n"
