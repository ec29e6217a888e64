"""What all tests here need: an strace that may trace, and fail system calls."""

import subprocess

import pytest


@pytest.fixture(scope="session", autouse=True)
def strace() -> None:
    """Skip without it; UUIDFS_REQUIRE_LIVE=1 makes a failure of that."""
    try:
        probe = subprocess.run(
            [
                "strace",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=openat",
                "-e",
                "inject=openat:error=EIO",
                "true",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("no strace")
    if "strace:" in probe.stderr or not probe.returncode:
        pytest.skip(f"strace fails no system call here: {probe.stderr.strip()}")
