"""What a local migration costs: ``python -m benchmarks.migration [--sizes 64,1024,4096]``.

Beside it the same guest is migrated between two bare QEMU processes over a unix socket, in turns
with the trips; whichever is not measured is paused. The guest fills its memory once and then
dirties 4 MiB of it all the time. Needs root, libvirtd and QEMU, as the live tests do; a private
host of theirs is used.

A new QEMU process gets its memory from the kernel page by page, and in a virtual machine a page
that the hypervisor has taken back costs ten times as much as one that was in use a moment ago.
Either side pays for that alike, at random: so the memory is touched before each measurement.
"""

import argparse
import json
import mmap
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.child import note
from tests.live import guest
from tests.live.migration import uuidfs
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for

# Protected mode; writes to every page from 1 MiB on, then again and again to the first 1024 of
# them, with a pause and a dot on COM1 in between. The last four bytes: how many pages.
_CODE = bytes.fromhex(
    "fa31c08ed8660f0116787c0f20c00c010f22c066ea1b7c0000080066b810008ed88ec08b0d7e7c0000bf0000"
    "1000893f81c700100000e2f6bf00001000b900040000ff0781c700100000e2f6b9400d0300e2fe66baf803b0"
    "2eeeebdc8d7426000000000000000000ffff0000009acf00ffff00000092cf001700607c0000"
)
SETTLE = 1.0  # seconds for a guest that was paused to be at its pace again
_HOLE = 2048  # MiB: the machine type pc has this much below its hole, at any size
_HMP = ["-display", "none", "-nodefaults", "-machine", "pc,accel=tcg", "-no-shutdown"]


def main(arguments: list[str]) -> None:
    """Print the figures of each size as a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.migration")
    parser.add_argument("--sizes", default="64,1024,4096", help="MiB")
    parser.add_argument("--trips", type=int, default=5)
    options = parser.parse_args(arguments)
    print(
        "| guest, MiB | downtime bare, ms | of a hop, ms | limit | migration bare, s "
        "| trip, s | limit |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="uuidfs-benchmarks-") as base:
            hops: list[float] = []
            trips: list[float] = []
            downtimes: list[float] = []
            times: list[float] = []
            with bare(Path(base), size) as migrate, moved(size) as travel:
                for _ in range(options.trips):
                    down, total = migrate()
                    downtimes.append(down)
                    times.append(total)
                    pair, total = travel()
                    hops += pair
                    trips.append(total)
                    note(
                        f"{size} MiB: bare {down:.0f} ms, {times[-1]:.2f} s; "
                        f"trip {pair} ms, {total:.2f} s"
                    )
        down, total = statistics.median(downtimes), statistics.median(times)
        print(
            f"| {size} | {down:.0f} | {statistics.median(hops):.0f} | {1.5 * down + 20:.0f} "
            f"| {total:.2f} | {statistics.median(trips):.2f} | {2 * total + 2:.2f} |",
            flush=True,
        )


def boot_disk(path: Path, size: int) -> None:
    """The disk that the guest boots from."""
    pages = (min(size, _HOLE) - 2) * 256
    sector = (_CODE + pages.to_bytes(4, "little")).ljust(510, b"\0") + b"\x55\xaa"
    path.write_bytes(sector.ljust(1024 * 1024, b"\0"))


class Qemu:
    """A bare QEMU process and its QMP socket."""

    def __init__(self, base: Path, name: str, size: int, *words: str) -> None:
        path = base / f"{name}.qmp"
        self.process = subprocess.Popen(
            [
                "qemu-system-x86_64",
                *_HMP,
                "-m",
                str(size),
                "-serial",
                f"file:{base}/{name}.serial",
                "-drive",
                f"file={base}/disk,format=raw,if=virtio,file.locking=off",
                "-qmp",
                f"unix:{path},server=on,wait=off",
                *words,
            ],
            stderr=subprocess.DEVNULL,
        )
        self._socket = socket.socket(socket.AF_UNIX)
        wait_for(lambda: self._socket.connect_ex(str(path)) == 0, "QEMU's monitor")
        self._file = self._socket.makefile("rw")
        self._file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        """One command; its return value."""
        self._file.write(json.dumps({"execute": command, "arguments": arguments}))
        self._file.flush()
        while True:
            answer = json.loads(self._file.readline())
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def end(self) -> None:
        """Kill it."""
        self._socket.close()
        self.process.kill()
        self.process.wait()


def warm(size: int) -> None:
    """Let the guest run for a moment; bring as much memory as it needs, and give it back."""
    time.sleep(SETTLE)
    with mmap.mmap(-1, size << 20) as memory:
        for start in range(0, len(memory), mmap.PAGESIZE):
            memory[start] = 1


@contextmanager
def bare(base: Path, size: int) -> Iterator[Callable[[], tuple[float, float]]]:
    """A guest without libvirt, and what moves it: downtime in ms, the whole migration in s."""
    boot_disk(base / "disk", size)
    guests = [Qemu(base, "0", size)]

    def migrate() -> tuple[float, float]:
        source = guests[0]
        hop = f"unix:{base}/hop{time.monotonic_ns()}"
        target = Qemu(base, str(time.monotonic_ns()), size, "-incoming", hop)
        guests.insert(0, target)
        source.ask("cont")
        warm(size)
        # As libvirt has it: no limit of the rate.
        source.ask("migrate-set-parameters", **{"max-bandwidth": 2**53})
        began = time.monotonic()
        source.ask("migrate", uri=hop)
        while (done := source.ask("query-migrate"))["status"] != "completed":
            if done["status"] == "failed":
                raise RuntimeError(f"the bare migration failed: {done}")
            time.sleep(0.005)
        while not target.ask("query-status")["running"]:
            time.sleep(0.001)
        took = time.monotonic() - began
        guests.pop().end()
        target.ask("stop")
        return float(done["downtime"]), took

    try:
        wait_for(lambda: (base / "0.serial").stat().st_size > 2, "the guest has filled its memory")
        guests[0].ask("stop")
        yield migrate
    finally:
        for one in guests:
            one.end()


@contextmanager
def moved(size: int) -> Iterator[Callable[[], tuple[list[float], float]]]:
    """A domain, and what takes it on a trip: downtimes of both hops in ms, the whole in s."""
    with PrivateHost() as probe:  # what QEMU can do, as any host has it in its cache
        probe.virsh("domcapabilities", "--virttype", "qemu").ok()
        cache = Path(tempfile.mkdtemp(prefix="uuidfs-benchmarks-"))
        shutil.copytree(probe.path("/var/cache/libvirt"), cache, dirs_exist_ok=True)
    with PrivateHost(cache=cache) as host:
        shutil.rmtree(cache)
        host.install_hook()
        boot_disk(host.path(guest.disk(1)), size)
        host.path("/run/a.xml").write_text(
            guest.domain("a", 1, memory=size).replace("type='qcow2'", "type='raw'")
        )
        host.virsh("define", "/run/a.xml").ok()
        host.virsh("start", "a").ok()
        serial = host.path("/var/lib/libvirt/images/1.console")
        wait_for(lambda: serial.stat().st_size > 2, "the guest has filled its memory")
        host.virsh("suspend", "a").ok()

        def travel() -> tuple[list[float], float]:
            host.virsh("resume", "a").ok()
            warm(size)
            began = time.monotonic()
            done = uuidfs(host, "local-migrate", "a", "--json", timeout=300).ok()
            took = time.monotonic() - began
            host.virsh("suspend", "a").ok()
            return json.loads(done.out)["domains"][0]["downtimes"], took

        yield travel


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
