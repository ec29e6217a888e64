"""The Grafana dashboard: its metrics are ours, its expressions are PromQL, its panels do not lie
over each other."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import REPOSITORY

DASHBOARD: dict[str, Any] = json.loads((REPOSITORY / "packaging/grafana/uuidfs.json").read_text())

METRICS = (REPOSITORY / "uuidfs/reconcile/metrics.py").read_text()

# A panel may be there before the reconciler writes what it shows.
NEWER = {"uuidfs_build_info"}

EXPRESSIONS = [
    (panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]
]


def written() -> set[str]:
    """What the reconciler writes, by the names in its source; counters end in _total."""
    names = re.findall(r'"((?:uuidfs_)?[a-z_]+)",\s*"[A-Z0-9]', METRICS)
    return {f"uuidfs_{name.removeprefix('uuidfs_')}" for name in names}


def test_every_metric_is_written_and_every_one_written_is_shown() -> None:
    text = " ".join(expression for _, expression in EXPRESSIONS)
    used = {name.removesuffix("_total") for name in re.findall(r"\buuidfs_[a-z_]+", text)}
    found = written()
    assert used - found <= NEWER
    # When that was looked at is for an alert.
    assert found - used <= {"uuidfs_outdated_timestamp_seconds", "uuidfs_build"}
    assert len(used) > 12


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_promtool_reads_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, (_, expression) in enumerate(EXPRESSIONS)
    ]
    text = json.dumps({"groups": [{"name": "panels", "rules": rules}]})
    text = text.replace("$instance", ".*").replace("$__rate_interval", "5m")
    (tmp_path / "rules.yml").write_text(text)  # JSON is YAML
    done = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "rules.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_every_host_can_be_chosen_and_no_data_source_is_fixed() -> None:
    for title, expression in EXPRESSIONS:
        assert 'instance=~"$instance"' in expression, title
    sources = set(re.findall(r'"uid": "([^"]+)"', json.dumps(DASHBOARD["panels"])))
    assert sources == {"${datasource}"}


def test_panels_fit_the_grid_and_have_numbers_of_their_own() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
