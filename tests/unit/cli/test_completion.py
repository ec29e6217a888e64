"""Completion as a shell asks for it: by the environment, of the real command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_clean_up
from tests.support.process import REPOSITORY, uuidfs
from tests.support.trees import Domain, uuid_for

PLAIN = [Domain(name, uuid_for(name)) for name in ("web", "web-2", "db.old")]
HARMFUL = [
    Domain(name, uuid_for(name))
    for name in ("web $(touch x)", "web'", "web;id", "-web", "web`id`", "web\\", "we\tb", "web:1")
]


def complete(root: Path, line: str) -> list[str]:
    """What bash offers for a line that ends at the cursor."""
    done = subprocess.run(
        [sys.executable, "-m", "uuidfs"],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        timeout=300,
        env={
            "PATH": os.environ["PATH"],
            "_UUIDFS_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        },
    )
    assert done.stderr == ""
    assert root.is_dir()
    return done.stdout.split()


@pytest.mark.parametrize("before", [True, False], ids=["option first", "command first"])
def test_domains_complete_below_the_root_that_is_asked_for(make_tree: Build, before: bool) -> None:
    root = make_tree(*PLAIN).host.root
    words = f"--root {root} convert" if before else f"convert --root {root}"
    assert complete(root, f"uuidfs {words} we") == ["web", "web-2"]
    assert complete(root, f"uuidfs {words} ") == ["db.old", "web", "web-2"]


def test_a_name_that_a_shell_would_read_otherwise_is_not_offered(make_tree: Build) -> None:
    root = make_tree(*PLAIN, *HARMFUL).host.root
    assert complete(root, f"uuidfs --root {root} path we") == ["web", "web-2"]


def test_no_libvirt_is_no_names(tmp_path: Path) -> None:
    assert complete(tmp_path, f"uuidfs --root {tmp_path}/nowhere status we") == []


def test_commands_complete(tmp_path: Path) -> None:
    assert complete(tmp_path, "uuidfs conv") == ["convert"]


def test_what_is_in_the_trash_completes_by_its_id(make_tree: Build) -> None:
    tree = make_tree(*PLAIN)
    root = tree.host.root
    uuidfs(root, "convert", "--all").ok()
    libvirt_clean_up(tree.host, "db.old")
    uuidfs(root, "convert", "--all").ok()
    ids = [entry["id"] for entry in uuidfs(root, "trash", "list", "--json").json["entries"]]
    assert ids
    for command in ("show", "restore", "empty"):
        assert sorted(complete(root, f"uuidfs --root {root} trash {command} ")) == sorted(ids)
    assert complete(root, f"uuidfs --root {root} trash show {ids[0][:6]}") == [ids[0]]
    assert complete(root, f"uuidfs --root {root} trash show x") == []
    assert complete(root, f"uuidfs --root {root}/nowhere trash show ") == []


def test_sessions_complete_by_their_domains_and_phases(make_tree: Build) -> None:
    root = make_tree(*PLAIN).host.root
    line = f"uuidfs --root {root} session"
    assert complete(root, f"{line} phase web ") == ["begin", "out", "peer", "back", "home"]
    assert complete(root, f"{line} phase web b") == ["begin", "back"]
    assert complete(root, f"{line} end ") == []
    uuidfs(root, "session", "begin", "web", "--pid", str(os.getpid())).ok()
    assert complete(root, f"{line} end ") == ["web"]
    assert complete(root, f"{line} phase ") == ["web"]
    assert complete(root, f"uuidfs --root {root} convert --kind c") == ["config", "checkpoint"]
