"""A file system that keeps times in whole seconds: ext3, and ext4 with small inodes."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def whole_seconds(directory: Path) -> Iterator[Path]:
    """An ext4 image with inodes of 128 bytes, as mke2fs made small ones until 1.46."""
    image, where = directory / "image", directory / "mnt"
    where.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    try:
        for command in (
            ["mkfs.ext4", "-q", "-I", "128", os.fspath(image)],
            ["mount", "-o", "loop", os.fspath(image), os.fspath(where)],
        ):
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"an ext4 image cannot be mounted here (needs root and loop devices): {error}")
    try:
        yield where
    finally:
        subprocess.run(["umount", os.fspath(where)], check=True)
