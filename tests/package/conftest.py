"""Both packages, built once for all tests here, by the scripts that people use."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.process import REPOSITORY

DEB_TOOLS = ("dpkg-buildpackage", "dh", "dh_python3", "lintian")
RPM_TOOLS = ("rpmbuild", "rpmlint")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def need(*programs: str) -> None:
    """Skip where a program is not installed."""
    missing = [name for name in programs if shutil.which(name, path=SYSTEM_PATH) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def build(script: str, directory: Path, *options: str) -> Path:
    """Run packaging/SCRIPT without the package's own tests."""
    done = subprocess.run(
        [REPOSITORY / "packaging" / script, *options, directory],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return directory


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the source package and the deb."""
    need(*DEB_TOOLS)
    return build("build-deb", tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="session")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the source RPM and the RPM."""
    need(*RPM_TOOLS)
    return build("build-rpm", tmp_path_factory.mktemp("rpm"))
