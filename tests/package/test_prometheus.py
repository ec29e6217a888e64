"""The alerting rules: what they say by promtool, and that their metrics are ours."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.process import REPOSITORY

RULES = REPOSITORY / "packaging/prometheus"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
@pytest.mark.parametrize(
    "words", [("check", "rules", "uuidfs.rules.yml"), ("test", "rules", "uuidfs.rules.test.yml")]
)
def test_promtool_finds_nothing(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["promtool", *words], cwd=RULES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_metrics_are_those_that_uuidfs_writes() -> None:
    rules = (RULES / "uuidfs.rules.yml").read_text()
    used = set(re.findall(r"\buuidfs_[a-z_]+", rules))
    written = Path(REPOSITORY / "uuidfs/reconcile/metrics.py").read_text()
    for metric in used:
        name = metric.removeprefix("uuidfs_").removesuffix("_total")
        assert re.search(rf'"(uuidfs_)?{name}"', written), metric
