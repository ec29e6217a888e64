"""``make demo``: the main job on a sample tree, as whoever runs it; no root, no libvirt."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.libvirt import libvirt_domrename
from tests.support.trees import Domain, Host, build, uuid_for

DOMAINS = (
    Domain(
        "web",
        uuid_for("web"),
        autostart=True,
        log_suffixes=("", ".0"),
        snapshots=("before upgrade",),
    ),
    Domain("db", uuid_for("db"), log_suffixes=("",)),
)


def show(title: str, host: Host) -> None:
    """Print what libvirt and an administrator see, links with their targets."""
    print(f"\n== {title}\n")
    for top in (host.config, host.log, host.snapshot, host.root / "var/lib/libvirt/by-uuid"):
        for path in sorted(top.rglob("*")):
            if path.is_symlink():
                print(f"  {path.relative_to(host.root)} -> {path.readlink()}")
            elif path.is_file():
                print(f"  {path.relative_to(host.root)}")


def uuidfs(host: Host, *arguments: str) -> None:
    """Run the real command line, and stop the demo when it fails."""
    print(f"\n$ uuidfs --root {host.root} {' '.join(arguments)}")
    sys.stdout.flush()
    command = [sys.executable, "-m", "uuidfs", "--root", os.fspath(host.root), *arguments]
    subprocess.run(command, check=True)


def main() -> None:
    """Before, convert, rename as libvirt does it, convert again, check, revert."""
    base = Path(tempfile.mkdtemp(prefix="uuidfs-demo-"))
    try:
        host = build(base, DOMAINS).host
        show("a plain libvirt host", host)
        uuidfs(host, "convert", "--all")
        show("converted: files under UUIDs, names are links", host)
        uuidfs(host, "status")
        libvirt_domrename(host, "web", "shop")
        show("after `virsh domrename web shop`, by a libvirt that knows nothing of uuidfs", host)
        uuidfs(host, "convert", "--all")
        show("converted again: the log's history came along", host)
        uuidfs(host, "check")
        print("nothing found")
        uuidfs(host, "revert", "--all")
        show("reverted: plain again", host)
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
