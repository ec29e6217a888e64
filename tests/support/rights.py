"""What tests need of whoever runs them."""

import os

import pytest

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes files of other users")
