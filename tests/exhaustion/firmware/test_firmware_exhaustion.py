"""Every order of libvirt's operations on two domains, starts with the hook, and uuidfs's runs.

counts.json has the worlds, runs, calls with a kill, limits and failures of each scenario;
UUIDFS_EXHAUSTION=count (or count-all) writes them anew. UUIDFS_EXHAUSTION=all or
UUIDFS_FULL_MATRIX=1 goes deeper.
"""

import json
import os
from pathlib import Path

import pytest

from tests.exhaustion.conftest import MEMORY
from tests.exhaustion.firmware.explorer import Explorer
from uuidfs.firmware.plan import Mode

_COUNTS = Path(__file__).with_name("counts.json")
_WHAT = os.environ.get("UUIDFS_EXHAUSTION", "")
_DEEP = _WHAT in {"all", "count-all"} or os.environ.get("UUIDFS_FULL_MATRIX") == "1"


@pytest.mark.parametrize("depth", [3, *([4] if _DEEP else [])])
@pytest.mark.parametrize("refuses", [False, True], ids=["redefines", "refuses"])
@pytest.mark.parametrize("mode", [Mode.RENAMED, Mode.ALL], ids=lambda mode: mode.value)
@pytest.mark.parametrize("implied", [False, True], ids=["given", "implied"])
def test_no_order_of_operations_carries_variables_over(
    implied: bool,
    mode: Mode,
    refuses: bool,
    depth: int,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``refuses``: libvirt does not redefine snapshots."""
    name = f"{'implied' if implied else 'given'} {mode.value} refuses={refuses} depth={depth}"
    explorer = Explorer(root, monkeypatch, implied=implied, refuses=refuses, mode=mode, depth=depth)
    figures = explorer.explore()
    print(f"{name}: {figures.counts()}")
    assert not figures.failures, figures.failures[0]
    counts = json.loads(_COUNTS.read_text()) if _COUNTS.exists() else {}
    if _WHAT.startswith("count"):
        counts[name] = figures.counts()
        rows = (f"{json.dumps(each)}: {counts[each]}" for each in sorted(counts))
        _COUNTS.write_text("{\n  " + ",\n  ".join(rows) + "\n}\n")
    elif root.is_relative_to(MEMORY) and (depth == 3 or name in counts):
        assert figures.counts() == counts[name], "see UUIDFS_EXHAUSTION=count-all"
