"""Every interleaving of some operations. ``UUIDFS_EXHAUSTION=all`` takes the long ones as well.

The counts are in counts.json, so that a change of them is seen: states, ends, kills, errors and
the failures of a known defect. ``UUIDFS_EXHAUSTION=count`` (or ``count-all``) writes them anew.
"""

import json
import os
from pathlib import Path

import pytest

from tests.exhaustion.conftest import MEMORY
from tests.exhaustion.explorer import Explorer
from tests.exhaustion.scenarios import Scenario
from tests.exhaustion.state import Bound
from tests.exhaustion.table import LONG, SHORT

_COUNTS = Path(__file__).with_name("counts.json")
_WHAT = os.environ.get("UUIDFS_EXHAUSTION", "")
_ALL = _WHAT in {"all", "count-all"}
_MANY = 100_000


@pytest.mark.parametrize("scenario", [*SHORT, *(LONG if _ALL else [])], ids=lambda s: s.name)
def test_every_interleaving_keeps_the_promises(scenario: Scenario, root: Path) -> None:
    bound = Bound(scenario.bursts)
    most = _MANY if scenario.known else 1
    figures = Explorer(scenario, root, bound, most).explore()
    print(f"{scenario.name}: {figures}")
    unknown = [
        failure
        for failure in figures.failures
        if not scenario.known or scenario.known not in failure.splitlines()[1]
    ]
    assert not unknown, f"{len(unknown)} failures; the first: {unknown[0]}"
    counts = json.loads(_COUNTS.read_text()) if _COUNTS.exists() else {}
    if _WHAT.startswith("count"):
        counts[scenario.name] = figures.counts()
        rows = (f"{json.dumps(name)}: {counts[name]}" for name in sorted(counts))
        _COUNTS.write_text("{\n  " + ",\n  ".join(rows) + "\n}\n")
    elif scenario.name not in counts:
        pytest.skip(f"no failure; there are no counts to compare with yet: {figures.counts()}")
    elif root.is_relative_to(MEMORY):
        assert figures.counts() == counts[scenario.name], "see UUIDFS_EXHAUSTION=count-all"
