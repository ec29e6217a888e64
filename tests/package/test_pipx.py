"""The wheel and the sdist, and a life without a distribution's package: pipx."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import REPOSITORY
from tests.support.trees import Tree, build, sample
from tests.support.truth import facts

TOOLS = ("build", "hatchling", "twine", "pipx")
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(tool) is None for tool in TOOLS),
    reason=f"needs the build front end and {', '.join(TOOLS)}",
)


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel made of what is in it."""
    directory = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", directory, REPOSITORY)
    return directory


def test_twine_finds_nothing(dist: Path) -> None:
    said = run(sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir())
    assert said.count("PASSED") == 2


def test_the_wheel_has_all_modules_and_what_they_copy(dist: Path) -> None:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        for ours, theirs in (
            ("hooks/qemu", "uuidfs/data/qemu"),
            ("packaging/systemd/uuidfs.service", "uuidfs/data/systemd/uuidfs.service"),
        ):
            assert wheel.read(theirs) == (REPOSITORY / ours).read_bytes()
    modules = {str(p.relative_to(REPOSITORY)) for p in (REPOSITORY / "uuidfs").rglob("*.py")}
    assert len(modules) > 50
    assert modules <= names


def test_the_sdist_has_what_packages_are_made_of(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = {name.split("/", 1)[-1] for name in sdist.getnames()}
    for path in (
        "packaging/deb/control",
        "packaging/rpm/uuidfs.spec",
        "docs/man/uuidfs.8",
        "LICENSE",
        "hooks/qemu",
        "tests/unit/cli/test_man.py",
        "pyproject.toml",
    ):
        assert path in names


@pytest.fixture
def home() -> Iterator[Path]:
    """Below the real home: a unit cannot run what is in /tmp, and homes are read-only in it."""
    directory = Path(tempfile.mkdtemp(prefix=".uuidfs-pipx-", dir=Path.home()))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return build(tmp_path / "host", sample())


def test_a_life_with_pipx(dist: Path, home: Path, tree: Tree) -> None:
    root, before = tree.host.root, facts(tree.host)
    env = {
        "PIPX_HOME": str(home / "pipx"),
        "PIPX_BIN_DIR": str(home / "bin"),
        "PIPX_MAN_DIR": str(home / "man"),
        "PIPX_DEFAULT_PYTHON": sys.executable,
    }
    pipx = (sys.executable, "-m", "pipx")
    run(*pipx, "install", next(dist.glob("*.whl")), env=env)
    uuidfs = home / "bin/uuidfs"

    assert "installed" in run(uuidfs, "--root", root, "hook", "install")
    assert "domains converted" in run(uuidfs, "--root", root, "convert", "--all")
    installed = run(uuidfs, "--root", root, "systemd", "install").splitlines()
    units = [Path(line.removeprefix("installed ")) for line in installed]
    assert [unit.name for unit in units] == [
        "uuidfs-check.service",
        "uuidfs-recover.service",
        "uuidfs.service",
    ]
    for unit in units:
        program = home / "pipx/venvs/uuidfs/bin/uuidfs"
        assert f"\nExecStart={program} " in unit.read_text()
        if shutil.which("systemd-analyze"):
            verified = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", unit],
                capture_output=True,
                text=True,
                check=False,
            )
            assert unit.name not in verified.stderr, "systemd runs this program"
    assert "runs" in run(uuidfs, "--root", root, "systemd", "status")

    hook = root / "etc/libvirt/hooks/qemu"
    assert str(home / "pipx/venvs/uuidfs/bin/python") in hook.read_text()
    run(uuidfs, "--root", root, "systemd", "remove")
    run(uuidfs, "--root", root, "hook", "remove")
    run(uuidfs, "--root", root, "revert", "--all")
    run(*pipx, "uninstall", "uuidfs", env=env)
    assert not uuidfs.exists()
    assert facts(tree.host) == before
    left = [path for path in root.rglob("*") if "uuid" in path.name]
    assert left == [root / "run/uuidfs"]
