"""What an operation on a host costs: ``python -m benchmarks.operation [--guests 10] [--jobs 1,2]``.

All guests of a private host are moved, with each number of jobs in turn, some rounds long. They
are the live tests' guests: idle but for a counter, and all of their memory is there from the start.
Needs root, libvirtd and QEMU, as the live tests do.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.child import note
from tests.live import guest
from tests.live.migration import counts, uuidfs
from tests.live.operation import MARK
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for


def main(arguments: list[str]) -> None:
    """Print the figures as a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operation")
    parser.add_argument("--guests", type=int, default=10)
    parser.add_argument("--size", type=int, default=64, help="MiB of each")
    parser.add_argument("--jobs", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    jobs = [int(each) for each in options.jobs.split(",")]
    whole: dict[int, list[float]] = {each: [] for each in jobs}
    trips: dict[int, list[float]] = {each: [] for each in jobs}
    downtimes: dict[int, list[int]] = {each: [] for each in jobs}
    with tempfile.TemporaryDirectory(prefix="uuidfs-benchmarks-") as base:
        disk = guest.make_disk_template(Path(base))
        with PrivateHost() as probe:  # what QEMU can do, as any host has it in its cache
            probe.virsh("domcapabilities", "--virttype", "qemu").ok()
            shutil.copytree(probe.path("/var/cache/libvirt"), Path(base) / "cache")
        with PrivateHost(cache=Path(base) / "cache") as host:
            prepare(host, options.guests, options.size, disk)
            for _ in range(options.rounds):
                for each in jobs:
                    began = time.monotonic()
                    done = uuidfs(host, "local-migrate", "--all", "--json", "--jobs", str(each))
                    whole[each].append(time.monotonic() - began)
                    moved = json.loads(done.ok().out)["domains"]
                    trips[each] += [one["seconds"] for one in moved]
                    downtimes[each] += [ms for one in moved for ms in one["downtimes"]]
                    load = os.getloadavg()[0]
                    note(f"--jobs {each}: {whole[each][-1]:.1f} s, load {load:.1f}")
    print(
        "| --jobs | whole, s | least and greatest | a trip, s | downtime of a hop, ms | longest "
        "| beside one after the other |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for each in jobs:
        took = statistics.median(whole[each])
        print(
            f"| {each} | {took:.1f} | {min(whole[each]):.1f} to {max(whole[each]):.1f} "
            f"| {statistics.median(trips[each]):.2f} | {statistics.median(downtimes[each]):.0f} "
            f"| {max(downtimes[each])} | {took / statistics.median(whole[jobs[0]]):.2f} |"
        )


def prepare(host: PrivateHost, guests: int, size: int, disk: Path) -> None:
    """Start them, and wait until all of them count."""
    host.install_hook()
    for number in range(1, guests + 1):
        host.path(guest.disk(number)).write_bytes(disk.read_bytes())
        xml = guest.domain(f"guest-{number}", number, memory=size)
        host.path(f"/run/{number}.xml").write_text(xml.replace("<os>", f"{MARK}<os>"))
        host.virsh("define", f"/run/{number}.xml").ok()
        host.virsh("start", f"guest-{number}").ok()
    for number in range(1, guests + 1):
        console = host.path(f"/var/lib/libvirt/images/{number}.console")
        wait_for(lambda console=console: console.exists(), f"{number} runs")  # type: ignore[misc]
        wait_for(lambda number=number: counts(host, number), f"{number} counts")  # type: ignore[misc]


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
