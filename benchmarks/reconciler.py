"""What the reconciler costs: ``python -m benchmarks.reconciler [--sizes 1000,10000]``.

The writer does what libvirt does for each save: NAME.xml.new, fsync, rename over NAME.xml.
"""

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import child, disk, tree

LOOP = Path(__file__).with_name("inotify-loop.sh")
GIVE_UP = 10.0  # seconds after which a link counts as lost


def main(arguments: list[str]) -> None:
    """Print the figures of each size as a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconciler")
    parser.add_argument("--sizes", default="1000,10000")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rewrites", type=int, default=500)
    parser.add_argument("--storm", type=int, default=10_000)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds")
    options = parser.parse_args(arguments)
    print("| what | figure | limit |\n| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="uuidfs-benchmarks-", dir="/var/tmp") as base:
        for size in map(int, options.sizes.split(",")):
            with disk.fresh(Path(base), partial(tree.build, count=size)) as root:
                child.run(child.uuidfs_command(options.python, root, "convert", "--all"))
                for line in _measure(options, root, size):
                    print(f"| {size} domains: {line} |", flush=True)


def _measure(options: argparse.Namespace, root: Path, size: int) -> Iterator[str]:
    command = child.uuidfs_command(options.python, root, "reconcile")
    with running(command, root) as process:
        yield f"first full pass, s | {_standing(root)['took']:.2f} |"
        yield f"resident memory, MiB | {_resident(process):.1f} | 80"
        yield f"inotify watches | {_standing(root)['watches']:.0f} |"
        took, lost = rewrites(root, size, options.rewrites)
        yield f"rename-over to link, median ms | {statistics.median(took) * 1e3:.1f} |"
        yield f"rename-over to link, p99 ms | {_percentile(took, 99) * 1e3:.1f} | 50"
        yield f"not linked within {GIVE_UP:g} s | {lost} | 0"
        find = [child.run(["find", str(root)]).wall for _ in range(3)]
        again = [_pass(process, root) for _ in range(3)]
        yield f"full pass with nothing to do, s | {statistics.median(again):.2f} |"
        yield f"the same / find | {statistics.median(again) / statistics.median(find):.2f} | 3"
        time.sleep(5.0)
        before = _cpu(process)
        time.sleep(options.idle)
        yield (
            f"idle CPU, % of a core over {options.idle:g} s | "
            f"{(_cpu(process) - before) / options.idle * 100:.3f} | 0.1"
        )
        seconds, plain, stale = storm(root, size, options.storm, 60.0)
        yield f"storm: {options.storm} rewrites took the writer, s | {seconds:.1f} |"
        yield f"storm: still plain 10 s after its end | {plain} | 0"
        yield f"storm: last write lost | {stale} | 0"
        yield f"resident memory after it, MiB | {_resident(process):.1f} | 80"
    if shutil.which("inotifywait"):
        with running(["sh", str(LOOP), str(root)], None):
            time.sleep(1.0)
            took, lost = rewrites(root, size, options.rewrites // 5)
            yield f"inotifywait, mv and ln: median ms | {statistics.median(took) * 1e3:.1f} |"
            yield f"inotifywait, mv and ln: p99 ms | {_percentile(took, 99) * 1e3:.1f} |"
            yield f"inotifywait, mv and ln: not linked within {GIVE_UP:g} s | {lost} |"
            _, plain, stale = storm(root, size, options.storm, 60.0)
            yield f"inotifywait, mv and ln, in the storm: still plain | {plain} |"
            yield f"inotifywait, mv and ln, in the storm: last write lost | {stale} |"
    idle = [
        child.run(child.uuidfs_command(options.python, root, "reconcile", "--once")).wall
        for _ in range(3)
    ]
    yield f"reconcile --once with nothing to do, s | {statistics.median(idle):.2f} |"


@contextmanager
def running(command: list[str], root: Path | None) -> Iterator["subprocess.Popen[bytes]"]:
    """A daemon, from its first full pass on."""
    process = subprocess.Popen(
        command,
        env=child.ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while root is not None and not _standing(root).get("passed"):
            if process.poll() is not None:
                raise SystemExit(f"{command} ended with {process.returncode}")
            time.sleep(0.05)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _standing(root: Path) -> dict[str, float]:
    import json

    try:
        text = (root / "run/uuidfs/reconciler.json").read_text()
    except FileNotFoundError:
        return {}
    fields: dict[str, float] = json.loads(text)
    return fields


def _pass(process: "subprocess.Popen[bytes]", root: Path) -> float:
    """Ask for a full pass; how long it took."""
    before = _standing(root)["passed"]
    process.send_signal(signal.SIGHUP)
    while _standing(root)["passed"] == before:
        time.sleep(0.05)
    return _standing(root)["took"]


def save(path: str, data: bytes) -> None:
    """As libvirt's virFileRewrite."""
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    os.rename(f"{path}.new", path)


def rewrites(root: Path, size: int, count: int) -> tuple[list[float], int]:
    """Single saves with pauses; how long each name was no link, in seconds, and how many
    stayed so."""
    took, lost = [], 0
    chance = random.Random(1)
    for _ in range(count):
        name = tree.name_of(chance.randrange(size))
        path = f"{root}/{tree.CONFIGS}/{name}.xml"
        with open(path, "rb") as file:
            data = file.read()
        save(path, data)
        began = time.perf_counter()
        while not os.path.islink(path):
            if time.perf_counter() - began > GIVE_UP:
                lost += 1
                break
            time.sleep(0.0002)
        took.append(time.perf_counter() - began)
        time.sleep(chance.uniform(0.0, 0.04))
    return took, lost


def storm(root: Path, size: int, count: int, within: float) -> tuple[float, int, int]:
    """Many saves, evenly spread; the seconds they took, names that stayed plain, lost writes."""
    chance = random.Random(2)
    last: dict[str, bytes] = {}
    began = time.monotonic()
    for number in range(count):
        name = tree.name_of(chance.randrange(size))
        data = tree.domain_xml(name).encode() + f"<!-- {number} -->\n".encode()
        save(f"{root}/{tree.CONFIGS}/{name}.xml", data)
        last[name] = data
        time.sleep(max(0.0, began + within * (number + 1) / count - time.monotonic()))
    seconds = time.monotonic() - began
    time.sleep(GIVE_UP)
    paths = {name: Path(f"{root}/{tree.CONFIGS}/{name}.xml") for name in last}
    plain = sum(not path.is_symlink() for path in paths.values())
    stale = sum(
        not path.exists() or path.read_bytes() != last[name] for name, path in paths.items()
    )
    return seconds, plain, stale


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def _resident(process: "subprocess.Popen[bytes]") -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _cpu(process: "subprocess.Popen[bytes]") -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    disk.enter_namespace("benchmarks.reconciler", sys.argv[1:])
    main(sys.argv[1:])
