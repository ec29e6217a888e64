"""These tests take minutes: they are collected for ``make test-power`` only."""

import os

if os.environ.get("UUIDFS_POWER") != "1":
    collect_ignore_glob = ["test_*.py"]
