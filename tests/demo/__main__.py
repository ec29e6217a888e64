"""Chooses real or imitated hosts, and plays the story on them: ``python -m tests.demo``.

``--imitated`` asks for imitations where there could be real ones.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.demo import stage
from tests.demo.hosts import Imitation
from tests.demo.real import two
from tests.demo.story import Pair, play
from tests.live.private_host import missing


def choose(stack: ExitStack, *, imitated: bool) -> Pair:
    """Real hosts where they can be had; say what the two are."""
    reason = "--imitated" if imitated else missing()
    if reason is None:
        try:
            pair = Pair(*stack.enter_context(two()))
        except (AssertionError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            reason = f"they did not start: {error}"
        else:
            stage.remark(
                "Two real hosts, with libvirtd and QEMU, in namespaces of their own.",
                "The libvirt of this machine is left alone.",
            )
            return pair
    base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="uuidfs-demo-")))
    stage.remark(
        "Two trees of files: libvirt is imitated, uuidfs is real.",
        "On a machine with libvirt and QEMU root sees real hosts, and a live rename.",
        f"Here: {reason}.",
    )
    return Pair(Imitation(base / "plain"), Imitation(base / "ours"))


def main() -> int:
    """Play it, and say how long it took."""
    begun = time.monotonic()
    try:
        with ExitStack() as stack:
            play(choose(stack, imitated="--imitated" in sys.argv[1:]))
        seconds = round(time.monotonic() - begun)
        stage.remark(f"That took {seconds} s. How to install uuidfs: README.md.")
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # as in `make demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


if __name__ == "__main__":
    sys.exit(main())
