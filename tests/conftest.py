"""In .ci/run nothing may be skipped: a capability that is missing there is a failure."""

import os
from collections.abc import Generator
from typing import Any

import pytest

# The Debian run has neither a build front end nor rich; the run of everything else has them.
# Control groups are the machine's: chroots and many containers have none to write to.
_ALLOWED = ("needs the build front end", "are drawn by rich", "no control groups")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:  # pluggy's Result
    report: pytest.TestReport = (yield).get_result()
    if os.environ.get("UUIDFS_REQUIRE_LIVE") == "1" and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in _ALLOWED):
            report.outcome = "failed"
            report.longrepr = f"skipped, and nothing may be: {reason}"
