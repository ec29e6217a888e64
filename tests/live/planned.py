"""Plans for driver.py: what happens at which point of a trip."""

import json
import subprocess
from typing import Any

from tests.live.memory_group import MemoryGroup
from tests.live.private_host import ENVIRONMENT, PrivateHost
from tests.support.process import REPOSITORY, Done

Plan = list[dict[str, Any]]

OUT, HOME = 1, 2  # the calls of hop.move, where nothing is tried again


def before(at: str, run: str, call: int = 1) -> dict[str, Any]:
    """Run a shell command before a call of a function."""
    return {"at": at, "run": run, "call": call}


def killed(at: str, call: int = 1) -> dict[str, Any]:
    """End the helper before a call of a function."""
    return {"at": at, "kill": True, "call": call}


def gives(at: str, what: object) -> dict[str, Any]:
    """Let a function return this and do nothing."""
    return {"at": at, "gives": what, "call": 0}


def uuidfs_at(host: PrivateHost, plan: Plan, *words: str, group: MemoryGroup | None = None) -> Done:
    """Run one uuidfs command by a plan, with the files of this repository."""
    command = _words(plan, words)
    return host.run(*(group.entering(*command) if group else command), env=_ENV)


def begin_at(host: PrivateHost, plan: Plan, *words: str) -> "subprocess.Popen[str]":
    """Start one, and do not wait for it."""
    return subprocess.Popen(
        host.inside(*_words(plan, words)),
        env=ENVIRONMENT | _ENV,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


_ENV = {"PYTHONPATH": str(REPOSITORY)}


def _words(plan: Plan, words: tuple[str, ...]) -> list[str]:
    return ["/usr/bin/python3", "-m", "tests.live.driver", json.dumps(plan), *words]
