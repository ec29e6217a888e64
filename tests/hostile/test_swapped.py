"""An attacker that swaps directories for symlinks at full speed while uuidfs works (P7)."""

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.harness import run, uuidfs
from tests.hostile.plants import TARGET, lay_out_victim, own
from tests.hostile.test_planted import place  # noqa: F401 - a fixture
from tests.race.workers import Figures, line, race, repeat, total
from tests.support.trees import QEMU_GID, QEMU_UID, Tree, build, sample
from tests.support.truth import broken_promises, changes, facts, fingerprint
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert, revert
from uuidfs.layout.connections import system

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="runs as another user: needs root")

SECONDS = float(os.environ.get("UUIDFS_RACE_SECONDS", "3"))
_EXCHANGE, _AT_FDCWD = 2, -100


def swap(directory: Path, name: str, until: float) -> Figures:
    """As QEMU's user: exchange ``name`` with the symlink ``decoy``, over and over.

    Ends with the real directory in its place.
    """
    figures = Figures("attacker")
    libc = ctypes.CDLL(None, use_errno=True)
    os.chdir(directory)  # while still allowed to come here
    os.setgroups([])
    os.setresgid(QEMU_GID, QEMU_GID, QEMU_GID)
    os.setresuid(QEMU_UID, QEMU_UID, QEMU_UID)
    names = (_AT_FDCWD, name.encode(), _AT_FDCWD, b"decoy", _EXCHANGE)
    while time.monotonic() < until or os.path.islink(name):
        figures.note("swaps" if libc.renameat2(*names) == 0 else "refused swaps")
    return figures


def convert_and_revert(tree: Tree) -> Callable[[], str | None]:
    """Both in turn; what they report about the swapped directory is no failure."""
    layout = system(os.fspath(tree.host.root))

    def action() -> str | None:
        for operation in (convert, revert):
            operation(layout, Options())
        return None

    return action


@contextmanager
def unchanged(victim: Path) -> Iterator[None]:
    before = fingerprint(victim, ctime=True)
    yield
    assert changes(before, fingerprint(victim, ctime=True)) == []


@pytest.mark.parametrize("swapped", [f"snapshot/{TARGET}", "snapshot"])
@pytest.mark.parametrize("decoy", ["victim", "innocent"])
def test_swapping_a_directory_for_a_symlink_leads_nowhere(
    swapped: str,
    decoy: str,
    place: Path,  # noqa: F811 - the fixture
) -> None:
    tree = build(place / "root", sample(2))
    host, truth = tree.host, facts(tree.host)
    before = fingerprint(host.root)
    victim = place / "victim"
    lay_out_victim(victim)
    path = host.lib / swapped
    link = path.parent / "decoy"
    link.symlink_to(
        victim if decoy == "victim" else {"snapshot": "checkpoint"}.get(swapped, "vm0001")
    )
    own(link)
    with unchanged(victim):
        figures = race(
            SECONDS,
            lambda until: swap(path.parent, path.name, until),
            lambda until: repeat(convert_and_revert(tree), until),
        )
        print("\n" + line(f"{swapped} for a link to the {decoy}", figures))
        assert total(figures, "swaps") > 1000
        assert total(figures, "runs") > 5
        link.unlink()
        again = run(uuidfs(host.root, "convert", "--all"))
        assert again.code == 0, again.err
        assert broken_promises(host, truth, tree.bindings) == []
        back = run(uuidfs(host.root, "revert", "--all"))
        assert back.code == 0, back.err
        assert changes(before, fingerprint(host.root)) == []
