"""A host with logs."""

from pathlib import Path

import pytest

from tests.unit.history.host import LogHost


@pytest.fixture
def host(tmp_path: Path) -> LogHost:
    """Two domains, nothing converted."""
    return LogHost(tmp_path / "host")
