"""Holds that the bare loop makes the same changing system calls as uuidfs, by strace."""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks import child, disk, tree

DOMAINS = 20
# unlink and link are here because uuidfs has them for other states of a tree: they must not
# occur in this one. fchmod and chmod change the same thing.
_CALL = re.compile(
    r"(?P<call>mkdir|symlink|renameat2|rename|linkat|link|unlinkat|unlink|fchmodat|fchmod|chmod|"
    r"fchown|fsync|fdatasync|sync|syncfs|ftruncate|utimensat|openat|creat)(?:at)?\("
)


def changing_calls(command: Sequence[str]) -> Counter[str]:
    """Run a command and count its calls that change or sync something below its tree."""
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
        subprocess.run(
            ["strace", "-f", "-y", "-qq", "-o", log.name, *command],
            check=True,
            env=child.ENVIRONMENT,
            stdout=subprocess.DEVNULL,
        )
        counts: Counter[str] = Counter()
        for line in log:
            match = _CALL.match(line.partition(" ")[2].lstrip())
            if match is None:
                continue
            call = match["call"]
            if call == "openat":
                if "O_CREAT" not in line:
                    continue
                call = "open O_CREAT"
            counts["chmod" if call.endswith("chmodat") or call == "fchmod" else call] += 1
    return counts


def compare(python: str, base: Path) -> tuple[Counter[str], Counter[str]] | None:
    """The counts of uuidfs and of the bare loop for a small tree; None without strace."""
    if shutil.which("strace") is None:
        return None
    table = base / "calls.table"
    tree.write_table(table, DOMAINS)
    build = partial(tree.build, count=DOMAINS)
    with disk.fresh(base, build) as root:
        # Else the interpreter's writing of .pyc files would be counted.
        child.run(child.uuidfs_command(python, root, "convert", "--all", "--dry-run"))
        ours = changing_calls(child.uuidfs_command(python, root, "convert", "--all"))
    with disk.fresh(base, build) as root:
        bare = changing_calls(child.bare_command(python, root, table))
    return ours, bare
