"""strace on a private host's libvirtd."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.live.private_host import DAEMON, PrivateHost
from tests.support.process import wait_for

CALLS = "rename,unlink,rmdir,mkdir,symlink,fsync"


def traced(
    host: PrivateHost, action: Callable[[], object], options: Sequence[str] = (), *, killed: bool
) -> str:
    """Run something while strace looks at libvirtd's changing calls; returns its trace."""
    trace = host.root / "trace"
    outside = _outside(host)
    with subprocess.Popen(
        [
            "strace",
            "-f",
            "-y",
            "-qq",
            "-e",
            f"trace={CALLS}",
            *options,
            "-o",
            str(trace),
            "-p",
            str(outside),
        ],
        stderr=subprocess.DEVNULL,
    ) as strace:
        wait_for(
            lambda: "TracerPid:\t0" not in Path(f"/proc/{outside}/status").read_text(),
            "strace is attached",
        )
        time.sleep(0.2)  # to all threads
        action()
        if killed:
            time.sleep(0.2)
        if strace.poll() is None:
            strace.terminate()
    return trace.read_text()


def calls(trace: str) -> list[tuple[str, str, str]]:
    """Thread, name and arguments of each call that succeeded."""
    found: list[tuple[str, str, str]] = re.findall(
        r"^(\d+) +(\w+)\((.*)\) += 0$", trace, re.MULTILINE
    )
    return found


def _outside(host: PrivateHost) -> int:
    """libvirtd's process id in the tests' own namespace."""
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            text = path.read_text()
        except OSError:
            continue
        found = re.search(r"^NSpid:\t(\d+)\t(\d+)$", text, re.MULTILINE)
        if (
            found
            and text.startswith(f"Name:\t{DAEMON}\n")
            and int(found[2]) == host.libvirtd.pid
            and (
                os.readlink(path.parent / "ns/mnt")
                == os.readlink(f"/proc/{host.keeper_pid}/ns/mnt")
            )
        ):
            return int(found[1])
    raise AssertionError(f"{DAEMON} is not there")
