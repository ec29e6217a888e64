"""Where ``convert --all`` spends its time: ``python -m benchmarks.hotspots [DOMAINS]``.

cProfile adds about 0.4 µs to each call of a Python function, so many small functions look
dearer here than they are.
"""

import cProfile
import pstats
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import disk, tree
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.layout.connections import system


def main(count: int) -> None:
    """Profile the first and the second convert of a tree."""
    with (
        tempfile.TemporaryDirectory(prefix="uuidfs-hotspots-", dir="/var/tmp") as base,
        disk.fresh(Path(base), partial(tree.build, count=count)) as root,
    ):
        for title in ("first", "second"):
            print(f"== {title} convert --all of {count} domains")
            profile = cProfile.Profile()
            profile.runcall(convert, system(str(root)), Options())
            stats = pstats.Stats(profile)
            stats.sort_stats("tottime").print_stats(40)
            stats.sort_stats("cumtime").print_stats("uuidfs", 40)


if __name__ == "__main__":
    disk.enter_namespace("benchmarks.hotspots", sys.argv[1:])
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
