"""A host with one domain that has everything."""

import pytest

from tests.conftest import Build
from tests.support.secrets import WEB, furnish
from tests.support.trees import Tree


@pytest.fixture
def tree(make_tree: Build) -> Tree:
    """Not converted yet."""
    made = make_tree(WEB)
    furnish(made)
    return made
