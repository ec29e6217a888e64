"""Where the trees are: an ext4 of their own each, so that a run does not pay for another one.

On a file system that is in use, ext4 looks at each inode that was deleted in the last seconds
before it hands out a new one (recently_deleted in fs/ext4/ialloc.c). After the removal of
another tree of 90,000 files that is most of the time of any loop that makes symlinks, bare or
not: the ratios come out near 1, and mean nothing. So root gets a fresh image per tree, below
/var/tmp, mounted in a private mount namespace; others get a directory.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SIZE = 5 << 30  # bytes; the image is sparse, 10,000 domains fill a tenth of it
_MARK = "UUIDFS_BENCHMARKS_NAMESPACE"


def enter_namespace(module: str, arguments: Sequence[str]) -> None:
    """Run a module of ours again in a mount namespace of its own, where root may."""
    if os.geteuid() == 0 and shutil.which("unshare") and _MARK not in os.environ:
        os.environ[_MARK] = "1"
        command = ["unshare", "--mount", "--propagation", "private"]
        os.execvp(command[0], [*command, sys.executable, "-m", module, *arguments])


def has_images() -> bool:
    """Whether trees get a file system of their own here."""
    return _MARK in os.environ


@contextmanager
def fresh(base: Path, build: Callable[[Path], None]) -> Iterator[Path]:
    """A new tree on the disk, written out and with a warm cache; removed in the end."""
    work = Path(tempfile.mkdtemp(prefix="tree-", dir=base))
    top = work / "mount"
    top.mkdir()
    mounted = has_images()
    if mounted:
        _mount(work / "image", top)
    try:
        root = top / "root"
        build(root)
        os.sync()
        yield root
    finally:
        if mounted:
            subprocess.run(["umount", str(top)], check=True)
        shutil.rmtree(work)


def clean(base: Path) -> None:
    """Remove all that is below ``base``, also where a signal came while a tree was removed."""
    for top in base.glob("tree-*/mount"):
        if top.is_mount():
            subprocess.run(["umount", str(top)], check=True)
    shutil.rmtree(base)


def _mount(image: Path, top: Path) -> None:
    with image.open("wb") as file:
        file.truncate(SIZE)
    # Without lazy initialisation no kernel thread writes inode tables during the measurement.
    options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", options, str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(top)], check=True)
