"""A converted host to delete from."""

import pytest

from tests.conftest import Build
from tests.support.trees import Tree
from tests.unit.trash.deleted import convert


@pytest.fixture
def tree(make_tree: Build) -> Tree:
    """Three converted domains."""
    made = make_tree()
    convert(made)
    return made
