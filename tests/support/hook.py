"""The hook as libvirtd calls it at a domain's start, for suites that run it under strace."""

import os
import sys
from pathlib import Path

from tests.crash.harness import Command
from tests.support.process import REPOSITORY
from tests.support.trees import domain_xml


def hook(root: Path, tools: Path, name: str, uuid: str) -> Command:
    """What libvirtd does before it starts ``name``."""
    return Command(
        (os.fspath(REPOSITORY / "hooks/qemu"), name, "prepare", "begin", "-"),
        stdin=domain_xml(name, uuid, "first"),
        extra_env=(
            ("UUIDFS_ROOT", os.fspath(root)),
            ("UUIDFS_PYTHON", os.fspath(tools / "python")),
            ("PATH", f"{tools}:{os.environ['PATH']}"),
        ),
    )


def hook_tools(directory: Path) -> Path:
    """A python that finds this checkout although the hook says -I, and a silent logger."""
    directory.mkdir(parents=True)
    for name, line in (
        ("python", f'[ "$1" != -I ] || shift\nexec {sys.executable} -s "$@"'),
        ("logger", "exec cat >/dev/null"),
    ):
        (directory / name).write_text(f"#!/bin/sh\n{line}\n")
        (directory / name).chmod(0o755)
    return directory
