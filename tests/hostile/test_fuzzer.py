"""QEMU's user moves, swaps and plants things in its directories while everything of ours works.

UUIDFS_HOSTILE_SECONDS makes it longer, UUIDFS_HOSTILE_SEED another one.
"""

import ctypes
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.harness import run, uuidfs
from tests.hostile.plants import lay_out_victim, own
from tests.hostile.test_planted import place  # noqa: F401 - a fixture
from tests.hostile.test_swapped import unchanged
from tests.race.workers import Figures, line, race, repeat, total
from tests.support.trees import QEMU_GID, QEMU_UID, Host, Tree, build, sample
from tests.support.truth import broken_promises, facts
from uuidfs.check import repair
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert, revert
from uuidfs.errors import UuidfsError
from uuidfs.layout.connections import system
from uuidfs.reconcile.full_pass import once

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="runs as another user: needs root")

SECONDS = float(os.environ.get("UUIDFS_HOSTILE_SECONDS", "8"))
SEED = int(os.environ.get("UUIDFS_HOSTILE_SEED", "1"))
_EXCHANGE, _AT_FDCWD = 2, -100


def attack(lib: Path, victim: Path, until: float) -> Figures:
    """As QEMU's user, until the end: nothing of it is tidied up."""
    figures = Figures("attacker")
    dice = random.Random(SEED)
    libc = ctypes.CDLL(None, use_errno=True)
    os.chdir(lib)
    os.setgroups([])
    os.setresgid(QEMU_GID, QEMU_GID, QEMU_GID)
    os.setresuid(QEMU_UID, QEMU_UID, QEMU_UID)
    while time.monotonic() < until:
        where = dice.choice([".", "snapshot", "checkpoint"])
        try:
            names = [f"{where}/{name}" for name in os.listdir(where)] or [where]
            one, other = dice.choice(names), dice.choice(names)
            match dice.randrange(6):
                case 0 | 1:
                    arguments = (_AT_FDCWD, one.encode(), _AT_FDCWD, other.encode(), _EXCHANGE)
                    if libc.renameat2(*arguments):
                        raise OSError(ctypes.get_errno(), "renameat2")
                case 2:
                    hidden = f"{where}/hidden-{dice.randrange(4)}"
                    os.rename(one, hidden)
                    time.sleep(dice.random() / 100)
                    os.rename(hidden, one)
                case 3:
                    os.symlink(victim, f"{where}/planted-{dice.randrange(4)}")
                case 4:
                    os.mkdir(f"{where}/planted-{dice.randrange(4)}")
                case _:
                    planted = f"{where}/planted-{dice.randrange(4)}"
                    (os.unlink if os.path.islink(planted) else os.rmdir)(planted)
        except OSError:
            figures.note("refused")
        else:
            figures.note("attacks")
    return figures


def everything(tree: Tree) -> Callable[[], str | None]:
    """Whatever uuidfs does, in turn; what it reports is no failure here."""
    layout = system(os.fspath(tree.host.root))
    options = Options(lock_timeout=1.0)

    def action() -> str | None:
        for operation in (convert, repair, once, revert):
            try:
                operation(layout, options)
            except UuidfsError:
                pass
        return None

    return action


def put_right(host: Host, homes: dict[str, Path]) -> None:
    """Root puts every directory of libvirt's back where it was, and removes what was planted."""
    aside = host.lib.parent / "aside"
    aside.mkdir()
    found = {}
    for directory in host.lib.rglob("*"):
        if directory.is_dir() and not directory.is_symlink():
            found[inode(directory)] = directory
    # An empty one can be gone: that user can rename another one over it. Nothing was in it. Then
    # its inode can be that of a directory of that user's, which the owner tells.
    homes = {who: path for who, path in homes.items() if who in found}
    # The deepest first: those that are found are out of the way of what is removed then.
    for who in sorted(homes, key=lambda who: -len(homes[who].parts)):
        found[who].rename(aside / who)
    clear(host.lib)
    for who in sorted(homes, key=lambda who: len(homes[who].parts)):
        (aside / who).rename(homes[who])
        clear(homes[who])
    aside.rmdir()


def inode(directory: Path) -> str:
    """Who it is, whatever its path says."""
    status = directory.stat()
    return f"{status.st_ino}-{status.st_uid}"


def clear(directory: Path) -> None:
    """Remove what QEMU's user made: it makes links and directories."""
    for left in directory.iterdir():
        if left.is_symlink():
            if left.lstat().st_uid == QEMU_UID:
                left.unlink()
        elif left.is_dir() and left.stat().st_uid == QEMU_UID:
            shutil.rmtree(left)


def test_nothing_is_lost_and_nothing_outside_is_touched(
    place: Path,  # noqa: F811 - the fixture
) -> None:
    tree = build(place / "root", sample(4))
    host = tree.host
    victim = place / "victim"
    lay_out_victim(victim)
    own(host.lib, host.snapshot, host.checkpoint)
    homes = {
        inode(path): path
        for parent in (host.lib, host.snapshot, host.checkpoint)
        for path in parent.iterdir()
        if path.is_dir()
    }
    assert run(uuidfs(host.root, "convert", "--all")).code == 0
    truth = facts(host)
    with unchanged(victim):
        figures = race(
            SECONDS,
            lambda until: attack(host.lib, victim, until),
            lambda until: repeat(everything(tree), until),
        )
    print("\n" + line(f"seed {SEED}", figures))
    assert total(figures, "attacks") > 100
    assert total(figures, "runs") > 0
    put_right(host, homes)
    again = run(uuidfs(host.root, "convert", "--all"))
    assert again.code == 0, again.err
    wrong = broken_promises(host, truth, tree.bindings)
    if wrong:
        for path in sorted(host.root.rglob("*.xml")):
            print(path.relative_to(host.root), os.readlink(path) if path.is_symlink() else "")
    assert wrong == []
