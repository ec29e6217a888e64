"""The role's tests need ansible-core, which the tests of everything else do without."""

import importlib.util

if importlib.util.find_spec("ansible") is None or importlib.util.find_spec("ansiblelint") is None:
    collect_ignore_glob = ["test_*.py", "chroot_host.py"]
