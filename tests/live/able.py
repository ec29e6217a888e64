"""Whether this machine can have a private host; needs no pytest, since the demo asks, too."""

import os
import shutil
import subprocess

from tests.live.private_host import PROGRAM

PROGRAMS = (PROGRAM, "virtlogd", "virsh", "qemu-system-x86_64", "qemu-img", "nsenter")


def missing() -> str | None:
    """Say what this machine lacks for a private host, or None."""
    if os.geteuid() != 0:
        return "not root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for program in PROGRAMS:
        if shutil.which(program, path=path) is None:
            return f"no {program}"
    probe = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"unshare: {probe.stderr.strip()}" if probe.returncode else None
