"""What the unit tests share: a sample tree of one's own and a way to call uuidfs in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trees import Domain, Tree, build, sample

Build = Callable[..., Tree]


@pytest.fixture
def make_tree(tmp_path: Path) -> Build:
    """Build a tree of the given domains, or a sample of three."""

    def make(*domains: Domain) -> Tree:
        return build(tmp_path / "host", domains or sample())

    return make
