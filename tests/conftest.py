"""In .ci/run nothing may be skipped: a capability that is missing there is a failure."""

import os
from collections.abc import Generator
from typing import Any

import pytest

# The Debian run has no build front end; the run of everything else has.
_ALLOWED = ("needs the build front end",)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:  # pluggy's Result
    report: pytest.TestReport = (yield).get_result()
    if os.environ.get("UUIDFS_REQUIRE_LIVE") == "1" and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in _ALLOWED):
            report.outcome = "failed"
            report.longrepr = f"skipped, and nothing may be: {reason}"
