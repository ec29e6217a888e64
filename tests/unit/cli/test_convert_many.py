"""convert of many domains: a summary, a wrong name among them, Ctrl-C, and a package's log."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import Build
from tests.support.process import REPOSITORY, uuidfs, uuidfs_words, wait_for
from tests.support.terminal import run_on_a_terminal
from tests.support.trees import Domain, Tree, uuid_for


def many(number: int) -> list[Domain]:
    return [Domain(f"vm{each:04}", uuid_for(f"vm{each:04}")) for each in range(number)]


@contextlib.contextmanager
def busy(tree: Tree, uuid: str) -> Iterator[None]:
    """Somebody holds a domain's lock."""
    locks = tree.host.root / "run/uuidfs/lock"
    locks.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        ["flock", locks / f"{uuid}.lock", "sh", "-c", "echo held; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield
        holder.communicate()


def test_many_domains_are_a_summary_and_lines_with_verbose(make_tree: Build) -> None:
    root = make_tree(*many(12)).host.root
    plan = uuidfs(root, "convert", "--all", "--dry-run").ok().out.splitlines()
    assert len(plan) > 12
    assert plan[-1] == "12 domains would be converted"
    assert uuidfs(root, "convert", "--all").ok().out == "12 domains converted\n"
    few = uuidfs(root, "revert", "vm0000", "vm0001").ok().out.splitlines()
    assert len(few) == 3
    told = uuidfs(root, "revert", "--all", "--verbose").ok().out.splitlines()
    assert len(told) == 11
    assert told[-1] == "10 domains reverted"
    assert "12 domains converted" in uuidfs(root, "convert", "--all", "-v").ok().out


def test_errors_are_told_however_many_domains_there_are(make_tree: Build) -> None:
    tree = make_tree(*many(12))
    (tree.host.root / "etc/libvirt/qemu/broken.xml").write_text("<domain>")
    done = uuidfs(tree.host.root, "convert", "--all")
    assert done.code == 1
    assert "broken.xml" in done.err
    assert done.out == "12 domains converted\n"


def test_a_wrong_name_among_several_does_not_stop_the_others(make_tree: Build) -> None:
    tree = make_tree()
    done = uuidfs(tree.host.root, "convert", "vm0000", "nobody", "vm0001", "nothing")
    assert done.code == 1
    assert [line.split(";")[0] for line in done.err.splitlines()] == [
        "uuidfs: no domain 'nobody'",
        "uuidfs: no domain 'nothing'",
    ]
    assert "2 domains converted" in done.out
    assert tree.host.config_of("vm0000").is_symlink()
    assert tree.host.config_of("vm0001").is_symlink()
    said = uuidfs(tree.host.root, "revert", "nobody", "vm0001", "--json")
    assert said.code == 1
    assert [problem["name"] for problem in said.json["problems"]] == ["nobody"]
    assert not tree.host.config_of("vm0001").is_symlink()
    alone = uuidfs(tree.host.root, "convert", "nobody", "--json")
    assert (alone.code, alone.json["exit_code"]) == (1, 1)
    none = uuidfs(tree.host.root, "convert", "nobody", "nothing")
    assert (none.code, none.out, len(none.err.splitlines())) == (1, "", 2)


@pytest.mark.parametrize("words", [["--all"], ["--all", "--lock-timeout", "5min"]], ids=str)
def test_ctrl_c_says_how_far_it_got(make_tree: Build, words: list[str]) -> None:
    """With and without typer."""
    tree = make_tree(*many(6))
    if len(words) == 1:
        (tree.host.root / "etc/uuidfs").mkdir()
        (tree.host.root / "etc/uuidfs/uuidfs.toml").write_text('lock-timeout = "5min"\n')
    with busy(tree, uuid_for("vm0003")):
        command = uuidfs_words(tree.host.root, "convert", *words)
        with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE) as process:
            wait_for(tree.host.config_of("vm0002").is_symlink, "those before it are converted")
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            said = process.stderr.read().decode()
    assert process.returncode == 130, said
    # Its config is a link a moment before the domain is done.
    assert re.fullmatch(
        r"uuidfs: interrupted: [23] of 6 domains are done; the same command does the rest\n", said
    )
    assert not tree.host.config_of("vm0003").is_symlink()
    uuidfs(tree.host.root, "convert", "--all").ok()
    uuidfs(tree.host.root, "check").ok()


def on_terminal(command: list[str], **env: str) -> bytes:
    """What a command writes to a terminal."""
    clean = {k: v for k, v in os.environ.items() if k != "DPKG_MAINTSCRIPT_PACKAGE"}
    return run_on_a_terminal(command, clean | env)[1]


def test_a_maintainer_script_draws_no_bar_into_apts_log(make_tree: Build) -> None:
    """apt gives dpkg a terminal. A person at one has the bar, once a run has taken a second."""
    tree = make_tree(*many(4))
    command = uuidfs_words(tree.host.root, "convert", "--all", "--lock-timeout", "1100ms")
    with busy(tree, uuid_for("vm0001")):
        person = on_terminal(command, TERM="xterm")
        uuidfs(tree.host.root, "revert", "vm0000", "vm0002", "vm0003").ok()
        script = on_terminal(command, TERM="xterm", DPKG_MAINTSCRIPT_PACKAGE="uuidfs")
    assert b"\x1b" in person
    assert b"Converting" in person
    assert b"\x1b" not in script
    assert b"Converting" not in script
    for said in (person, script):
        assert b"3 domains converted, 1 busy\n" in said


def test_the_lifecycle_of_packages_has_a_dumb_terminal() -> None:
    """rpm's scriptlets are told nothing by their environment."""
    text = (REPOSITORY / "packaging/lifecycle").read_text()
    assert "\nTERM=dumb" in text
    assert " TERM\n" in next(line + "\n" for line in text.splitlines() if "export PATH" in line)
