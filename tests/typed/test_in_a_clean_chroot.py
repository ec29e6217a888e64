"""The lines that install uuidfs, take it away again and show the demo, in a minimal Debian."""

import os
import shutil
import subprocess

import pytest

from tests.support.process import REPOSITORY
from tests.typed.table import DEB, DEMO, PIPX, lines_at

SUITE = os.environ.get("UUIDFS_TYPED", "bookworm")
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        "UUIDFS_TYPED" not in os.environ or os.geteuid() != 0 or not shutil.which("debootstrap"),
        reason="make test-typed runs it, as root and with a network",
    ),
]

# A stand-in: a chroot has no systemd. Units are installed, and started by name only.
_SYSTEMCTL = """
printf '#!/bin/sh\\nexit 0\\n' >/usr/local/bin/systemctl && chmod 755 /usr/local/bin/systemctl
"""


def run(place: str, before: str, *packages: str) -> str:
    """Type all lines of a place, each once, into one shell; it ends at the first that fails."""
    texts = dict.fromkeys(line.text for line in lines_at(place))
    typed = "".join(f"echo '+ line {n}' >&2\n{text}\n" for n, text in enumerate(texts))
    done = subprocess.run(
        [REPOSITORY / "tests/typed/fresh", SUITE, *packages],
        input=f"set -e\n{before}\n{typed}echo all lines were typed\n",
        env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{list(texts)}\n{said[-6000:]}"
    assert "all lines were typed" in done.stdout
    return said


def test_the_demo_needs_make_and_venv_only() -> None:
    said = run(DEMO, "", "make", "python3-venv")
    assert "That took" in said


def test_the_debian_package_is_built_installed_and_removed_by_what_is_typed() -> None:
    said = run(DEB, "")
    assert "Removing uuidfs" in said


def test_a_life_with_pipx_is_what_is_typed() -> None:
    said = run(PIPX, f"mkdir -p /etc/libvirt/qemu /var/log/libvirt/qemu\n{_SYSTEMCTL}")
    assert "uninstalled uuidfs" in said
