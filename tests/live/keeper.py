"""Process 1 of a private host: makes the mounts, reaps orphans, ends with its parent.

Started by private_host.py as ``unshare --mount --pid --net --fork python3 keeper.py ROOT PLAN``.
PLAN is a JSON list of [source, target] pairs to bind. It says "ready" with its process id outside
and waits for the end of its standard input. When the test run goes, however it goes, it kills
everything in the namespace and removes the directory ROOT; the mounts go with the namespace.
It is a file of its own, without imports from the project, because it runs before anything
else is known to work.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import FrameType


def reap(_number: int, _frame: FrameType | None) -> None:
    """Collect orphans, else libvirt waits for the QEMU processes that it killed."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def mount(*words: str) -> None:
    """Run mount(8)."""
    subprocess.run(["mount", *words], check=True)


def main() -> None:
    """Mount, say ready, wait, leave nothing."""
    outer = os.readlink("/proc/self")
    mount("--make-rprivate", "/")
    for source, target in json.loads(sys.argv[2]):
        mount("--bind", source, target)
    mount("-t", "proc", "proc", "/proc")
    signal.signal(signal.SIGCHLD, reap)
    print("ready", outer, flush=True)
    sys.stdin.read()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(-1, signal.SIGKILL)  # everybody but process 1, until nobody is left
            time.sleep(0.01)
    for _, target in reversed(json.loads(sys.argv[2])):
        subprocess.run(["umount", "--lazy", target], check=False)
    shutil.rmtree(sys.argv[1])


if __name__ == "__main__":
    main()
