"""packaging/export: what goes into a package is the project's, whatever else lies beside it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.process import REPOSITORY
from tests.support.rights import root_only

EXPORT = REPOSITORY / "packaging/export"


def files(directory: Path) -> set[str]:
    """All files below a directory."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def export(checkout: Path, to: Path) -> set[str]:
    """What the checkout's own script copies."""
    subprocess.run([checkout / "packaging/export", to], check=True)
    return files(to)


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    """This project as an unpacked tarball has it, with what a stranger put there."""
    export(REPOSITORY, tmp_path / "tarball")
    return strew(tmp_path / "tarball")


def strew(tree: Path) -> Path:
    """Put byte code and a disk image into it."""
    for name in ("images/disk.qcow2", "disk.img", "uuidfs/__pycache__/plan.cpython-311.pyc"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(b"large")
    return tree


def test_of_a_checkout_what_git_tracks_goes_into_packages(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "packaging").mkdir(parents=True)
    shutil.copy(EXPORT, checkout / "packaging/export")
    (checkout / "tracked").write_text("first")
    (checkout / "removed").write_text("first")
    subprocess.run(["git", "init", "--quiet"], cwd=checkout, check=True)
    subprocess.run(["git", "add", "--all"], cwd=checkout, check=True)
    (checkout / "tracked").write_text("edited, and not committed")
    (checkout / "removed").unlink()
    (checkout / "uuidfs").mkdir()
    strew(checkout)
    assert export(checkout, tmp_path / "out") == {"packaging/export", "tracked"}
    assert (tmp_path / "out/tracked").read_text() == "edited, and not committed"


@root_only
def test_root_builds_in_the_checkout_of_somebody_else(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "packaging").mkdir(parents=True)
    shutil.copy(EXPORT, checkout / "packaging/export")
    subprocess.run(["git", "init", "--quiet"], cwd=checkout, check=True)
    subprocess.run(["git", "add", "--all"], cwd=checkout, check=True)
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 1000, 1000)
    assert export(checkout, tmp_path / "out") == {"packaging/export"}


def test_an_unpacked_tarball_without_git_gives_the_same(tarball: Path, tmp_path: Path) -> None:
    whole = {name for name in files(tarball) if not name.startswith((".", "disk.img", "images/"))}
    whole.remove("uuidfs/__pycache__/plan.cpython-311.pyc")
    assert export(tarball, tmp_path / "out") == whole
    assert {"uuidfs/__init__.py", "hooks/qemu", "pyproject.toml"} <= whole
