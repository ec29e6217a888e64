"""Whoever builds the deb gets these bytes: from any directory, umask, time, zone and locale."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.package.conftest import SYSTEM_PATH
from tests.support.process import REPOSITORY

# All that a build leaves and that somebody may want to compare.
ARTIFACTS = ("*.deb", "*.orig.tar.xz", "*.debian.tar.xz", "*.dsc")
ELSEWHERE = {
    "PATH": SYSTEM_PATH,  # Debian's Python
    "DEB_BUILD_OPTIONS": "nocheck",
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C.UTF-8",
    "LANG": "de_DE.UTF-8",
    "HOME": "/nonexistent",
    "COLUMNS": "40",
}


def run(*command: str | Path, cwd: Path) -> None:
    """As somebody else, elsewhere: with another umask, zone and locale."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        umask=0o077,
        env={**os.environ, **ELSEWHERE},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def different(one: Path, other: Path) -> str:
    """What differs, in diffoscope's words where that is installed."""
    if one.read_bytes() == other.read_bytes():
        return ""
    if shutil.which("diffoscope") is None:
        return f"{one} and {other} differ"
    return subprocess.run(
        ["diffoscope", "--exclude-directory-metadata=yes", one, other],
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def old_checkout(directory: Path) -> Path:
    """The files of the checkout with other modes, and from before the changelog's time."""
    run(REPOSITORY / "packaging/export", directory, cwd=directory.parent)
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (1_500_000_000, 1_500_000_000), follow_symlinks=False)
    return directory


def test_a_second_build_elsewhere_gives_the_same_bytes(deb: Path, tmp_path: Path) -> None:
    checkout = old_checkout(tmp_path / "old checkout")
    subprocess.run(["git", "init", "--quiet", checkout], check=True)
    # The files that git tracks go into the source package: as they are in the repository.
    subprocess.run(["git", "-C", checkout, "add", "--all", "--force", "."], check=True)
    run(checkout / "packaging/build-deb", tmp_path / "other/out", cwd=tmp_path)
    for pattern in ARTIFACTS:
        ours, others = sorted(deb.glob(pattern)), sorted((tmp_path / "other/out").glob(pattern))
        assert [path.name for path in ours] == [path.name for path in others]
        assert ours
        for one, other in zip(ours, others, strict=True):
            assert different(one, other) == ""


@pytest.mark.full
def test_the_source_package_alone_gives_the_same_deb(deb: Path, tmp_path: Path) -> None:
    """As a rebuilder does it, who has neither the checkout nor build-deb."""
    run("dpkg-source", "--extract", next(deb.glob("*.dsc")), "source", cwd=tmp_path)
    run("dpkg-buildpackage", "--build=binary", "--unsigned-changes", cwd=tmp_path / "source")
    ours, others = sorted(deb.glob("*.deb")), sorted(tmp_path.glob("*.deb"))
    assert [path.name for path in ours] == [path.name for path in others]
    for one, other in zip(ours, others, strict=True):
        assert different(one, other) == ""
