"""The completions of the package, by the real shells, with names of domains."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.package.conftest import need
from tests.support.trees import Domain, build, uuid_for

WORDS = ["web", "web-2"]


class Place:
    """The unpacked package, and a host with domains."""

    def __init__(self, package: Path, root: Path) -> None:
        self.share = package / "usr/share"
        self.line = f"uuidfs --root {root} path we"
        site = package / "usr/lib/python3/dist-packages"
        self.env = {
            **os.environ,
            "PYTHONPATH": str(site),
            "PATH": f"{package}/usr/bin:/usr/bin:/bin",
            "HOME": str(root),
        }

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=self.env,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture
def place(deb: Path, tmp_path: Path) -> Place:
    subprocess.run(
        ["dpkg-deb", "--extract", next(deb.glob("uuidfs_*.deb")), tmp_path / "package"], check=True
    )
    names = (*WORDS, "db", "web$(touch x)", "we b")
    build(tmp_path / "host", [Domain(name, uuid_for(name)) for name in names])
    return Place(tmp_path / "package", tmp_path / "host")


def test_bash(place: Place) -> None:
    said = place.run(
        "bash",
        "-c",
        f"""
        . {place.share}/bash-completion/completions/uuidfs
        COMP_WORDS=({place.line}) COMP_CWORD=4
        $(complete -p uuidfs | sed 's/.*-F \\([^ ]*\\).*/\\1/') uuidfs
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    )
    assert said.split() == WORDS


def test_fish(place: Place) -> None:
    need("fish")
    said = place.run(
        "fish",
        "--no-config",
        "-c",
        f"""
        source {place.share}/fish/vendor_completions.d/uuidfs.fish
        complete --do-complete '{place.line}'
    """,
    )
    assert [line.split("\t")[0] for line in said.splitlines()] == WORDS


def test_zsh(place: Place) -> None:
    """As compinit finds it, by the first line of the file, and at the first completion."""
    need("zsh")
    said = place.run(
        "zsh",
        "-f",
        "-c",
        f"""
        fpath=({place.share}/zsh/vendor-completions $fpath)
        autoload -Uz compinit && compinit -u -D
        print -r -- $_comps[uuidfs]
        _arguments() {{ print -rl -- "$@"; }}
        words=({place.line}) CURRENT=5
        _uuidfs
    """,
    )
    assert said.splitlines()[0] == "_uuidfs"
    assert [word for word in WORDS if f'"{word}"' in said] == WORDS
    assert "touch" not in said
