"""The same script gives the same on a plain host and on one where uuidfs is always at work."""

import os
from collections.abc import Callable

import pytest

from tests.live import names, scripts, scripts_metadata
from tests.live.conftest import MakeHost
from tests.live.private_host import PrivateHost
from tests.live.script import Script, Seen, differences, run_both
from tests.live.views import errors, logs

Between = Callable[[PrivateHost], None]
BETWEEN: dict[str, Between] = {
    "at once": lambda host: None,
    "restarts": PrivateHost.restart,
    "reloads": PrivateHost.reload,
}
# Where the state in the daemon's memory matters: run without a restart in between as well.
# test_reconciler.py runs all of them without a restart too.
LIVELY = (scripts_metadata.SNAPSHOTS, scripts.RENAME_WITHOUT_STOPS, scripts.TRANSIENT)
RELOADED = (scripts.LIFE, scripts.RENAME, scripts.DROPPED_FILES)
SCRIPTS = (
    scripts.LIFE,
    scripts_metadata.SNAPSHOTS,
    scripts_metadata.EXTERNAL,
    scripts_metadata.CHECKPOINTS,
    scripts_metadata.MANAGED_SAVE,
    scripts.RENAME,
    scripts.SWAP,
    scripts.RENAME_WITHOUT_STOPS,
    scripts.OLD_NAME,
    scripts.UNDEFINE,
    scripts.TRANSIENT,
    scripts.REFUSALS,
    scripts.LOGS,
    scripts.DROPPED_FILES,
)
ALL = [(script, how) for how in BETWEEN for script in SCRIPTS]
# Every script with a restart after each step; without, or with reloads, where it matters.
# UUIDFS_LIVE_ALL=1 runs all scripts in all ways.
CHOSEN = [
    *((script, "restarts") for script in SCRIPTS),
    *((script, "at once") for script in LIVELY),
    *((script, "reloads") for script in RELOADED),
]
RUNS = ALL if os.environ.get("UUIDFS_LIVE_ALL") == "1" else CHOSEN
# With UUIDFS_BENCH_ITSELF=1 both hosts are plain: a test of the bench, for who changes it.
ITSELF = os.environ.get("UUIDFS_BENCH_ITSELF") == "1"


def title(value: object) -> str:
    """A readable id for a parameter."""
    return value.name if isinstance(value, Script) else str(value)


def compare(make_host: MakeHost, script: Script, between: Between) -> None:
    """Run the script on two hosts and compare everything that can be seen."""
    plain, other = make_host(), make_host()
    if not ITSELF:
        other.install_hook()
    seen = run_both(plain, other, list(script.steps), between=between, convert=not ITSELF)
    for on_one, one in zip(seen, (plain, other), strict=True):
        end = logs(one) if script.same_logs else {}
        on_one.append(Seen("the script", err=errors(one), files=end))
    found = differences(*seen)
    if found:
        pytest.fail(found, pytrace=False)
    if not ITSELF:
        checked = other.uuidfs("check", "--json")
        assert checked.code == 0, checked


@pytest.mark.parametrize(("script", "between"), RUNS, ids=title)
def test_libvirt_behaves_as_without_uuidfs(
    make_host: MakeHost, uuidfs_works: None, script: Script, between: str
) -> None:
    compare(make_host, script, BETWEEN[between])


@pytest.mark.parametrize("script", [names.script(name) for name in names.NAMES], ids=title)
def test_any_name_works_as_without_uuidfs(
    make_host: MakeHost, uuidfs_works: None, script: Script
) -> None:
    compare(make_host, script, BETWEEN["at once"])
