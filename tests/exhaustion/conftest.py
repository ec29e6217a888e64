"""Where the tiny trees are."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # inode numbers are never used again there, so that counts stay


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    top = Path(tempfile.mkdtemp(prefix="uuidfs-exhaustion-", dir=where))
    yield top / "host"
    shutil.rmtree(top)
