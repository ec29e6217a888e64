"""Two domains, and whether uuidfs has settled them."""

import os
from pathlib import Path

from tests.support.process import Daemon, uuidfs
from tests.support.trees import Domain, Tree, uuid_for

WEB = Domain("web", uuid_for("web"), autostart=True, snapshots=("s1", "s2"), checkpoints=("c1",))
DB = Domain("db", uuid_for("db"), snapshots=("s1",))


def clean(tree: Tree) -> bool:
    """Whether check finds nothing."""
    return uuidfs(tree.host.root, "check", "--json").code == 0


def linked(path: Path, uuid: str) -> bool:
    return path.is_symlink() and uuid in os.readlink(path) and path.exists()


def began(daemon: Daemon) -> float:
    """When its last full pass began."""
    state = daemon.standing()
    return float(state["passed"] - state["took"])
