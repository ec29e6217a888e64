"""Runs uuidfs with something done at points of a trip: ``python -m tests.live.driver PLAN WORD...``

What a test wants to happen between two steps happens exactly there, on a busy machine too. It
runs in a private host by Debian's interpreter, which has libvirt-python; tests use planned.py.
PLAN is a list in JSON of entries with "at", a function below uuidfs.localmigration (``hop.move``),
and "call", its number from 1. Before that call the shell command "run" is run, and with "kill" the
process ends as by SIGKILL. With "gives" the function returns that and does nothing.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from typing import Any


def _install(entry: dict[str, Any]) -> None:
    names = entry["at"].split(".")
    module: Any = importlib.import_module(f"uuidfs.localmigration.{names[0]}")
    for name in names[1:-1]:
        module = getattr(module, name)
    function = getattr(module, names[-1])
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if "gives" in entry:
            return entry["gives"]
        if calls == entry["call"]:
            if "run" in entry:
                _act(entry["run"])
            if entry.get("kill"):
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    setattr(module, names[-1], wrapped)


def _act(command: str) -> None:
    done = subprocess.run(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stderr.write(f"driver: {command}: exit {done.returncode} {done.stdout} {done.stderr}\n")


def main(plan: str, words: list[str]) -> None:
    """Change the functions, then be uuidfs."""
    for entry in json.loads(plan):
        _install(entry)
    from uuidfs.cli.start import main as uuidfs

    sys.argv = ["uuidfs", *words]
    uuidfs()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
