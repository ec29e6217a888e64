"""How long ``uuidfs outdated`` looks at a guest: ``python -m benchmarks.outdated [GUESTS]``.

To be run by root. Real QEMU processes from a copy of the host's, each with a pid file and a status
XML as libvirt leaves them; no daemon takes part. Exits 1 above LIMIT.
"""

import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.support import elf
from tests.support.guests import guest, live_layout, write_config
from uuidfs.layout.places import Layout
from uuidfs.outdated import look

QEMU = "/usr/bin/qemu-system-x86_64"
LIMIT = 150.0  # milliseconds a guest
ROUNDS = 9
WORDS = "-S -m 16 -display none -serial none -chardev stdio,id=m -mon chardev=m,mode=control"


def main(count: int) -> int:
    """Start the guests, look, replace the binary twice, look again."""
    worst = 0.0
    with (
        tempfile.TemporaryDirectory(prefix="uuidfs-bench-") as directory,
        contextlib.ExitStack() as s,
    ):
        root = Path(directory)
        layout = live_layout(root)
        (root / "other/bin").mkdir(parents=True)
        for part in ("share", "lib"):  # where it looks for its firmware
            (root / "other" / part).symlink_to(f"/usr/{part}")
        binary, data = root / "other/bin/qemu", Path(QEMU).read_bytes()
        replace(binary, data)
        for number in range(count):
            name = f"guest{number}"
            write_config(root, name, str(binary))
            process = s.enter_context(
                guest(layout, name, str(binary), *WORDS.split(), hello=b"QMP")
            )
        code = Path(f"/proc/{process.pid}/maps").read_text().count(" r-xp ")
        print(f"{count} guests, {code} mappings of code each; milliseconds a guest")
        for what, now in (
            ("nothing replaced", None),
            ("an equal copy", data),
            ("another build", elf.with_another_build_id(data)),
        ):
            if now is not None:
                replace(binary, now)
            worst = max(worst, measure(layout, what, count))
    return int(worst > LIMIT)


def replace(path: Path, data: bytes) -> None:
    """Rename a new file over it."""
    new = path.with_name("new")
    new.write_bytes(data)
    new.chmod(0o755)
    new.rename(path)


def measure(layout: Layout, what: str, count: int) -> float:
    """Print and return the median of a look, a guest."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = look(layout)
        times.append((time.perf_counter() - began) * 1000 / count)
        assert (found.looked, found.problems) == (count, ()), found
    median = statistics.median(times)
    low, high = min(times), max(times)
    print(f"{what}: {median:.2f} ({low:.2f} to {high:.2f}); outdated: {len(found.domains)}")
    return median


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
