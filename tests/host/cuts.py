"""Cuts the power of machines that are at work, and tells what that has lost."""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.host import states, world
from tests.host.conftest import NewMachine
from tests.host.machine import Machine

CUTS = int(os.environ.get("UUIDFS_HOST_CUTS", "3"))
SEED = int(os.environ.get("UUIDFS_HOST_SEED") or time.time_ns() % 100_000)
AT_ONCE = 5  # copies of the disk while one loop goes on; the last one is the machine's end
PAUSE = 8.0  # seconds at most between two of them


def after_cuts(
    make: NewMachine, prepare: Callable[[Machine], None], work: str
) -> Iterator[Machine]:
    """Cut ``work`` off CUTS times; the machines that have booted then, one after the other.

    ``work`` is a shell command that does not end by itself."""
    chance = random.Random(f"{SEED} {work}")
    for first in range(0, CUTS, AT_ONCE):
        with states.directory() as disks:
            left: dict[Path, float] = {}
            with make() as machine:
                image = machine.image
                prepare(machine)
                process = machine.start(work)
                began = time.monotonic()
                last = min(first + AT_ONCE, CUTS) - 1
                for number in range(first, last + 1):
                    time.sleep(chance.uniform(0.2, PAUSE))
                    assert process.poll() is None, "the work has ended"
                    left[disks / str(number)] = time.monotonic() - began
                    if number < last:
                        machine.copy_disk(disks / str(number))
                    else:
                        machine.cut()
                        machine.disk.rename(disks / str(number))
                process.wait()
            for disk, after in left.items():
                with states.machine(image, disk=disk) as machine:
                    took = machine.boot()
                    print(f"cut after {after:.1f} s, boot {took:.0f} s", end="", flush=True)
                    yield machine
                    print(flush=True)


class Picture:
    """What libvirt finds on a host. ``renamed`` is a domain that may have another name by now: its
    files only have to be there, under one of both names, since libvirt writes them anew."""

    def __init__(self, machine: Machine, renamed: tuple[str, str] | None = None) -> None:
        self._renamed = renamed
        now = world.names(machine)
        self._files: dict[str, str] = {}
        for path, read in now["files"].items():
            if not read.startswith("!"):
                self._files[self._same(path)] = "" if self._same(path) != path else read
        if renamed:
            for path in self._files:
                if f"/{renamed[0]}" in path:
                    self._files[path] = ""
        self._logs = {self._same(path): int(size) for path, size in now["logs"].items()}
        self.domains = {self._same(f"/{name}")[1:] for name in world.domains(machine)}

    def _same(self, path: str) -> str:
        if self._renamed is None:
            return path
        old, new = self._renamed
        return "/".join(
            part.replace(new, old, 1) if part in (new, f"{new}.xml", f"{new}.log") else part
            for part in path.split("/")
        )

    def lost(self, now: "Picture") -> list[str]:
        """What was there and is not in a later picture, or is another file, or a shorter log."""
        return [
            *(
                f"{p}: missing, or another file"
                for p, read in self._files.items()
                if now._files.get(p) != read
            ),
            *(
                f"{p}: missing, or shorter"
                for p, size in self._logs.items()
                if now._logs.get(p, -1) < size
            ),
            *(f"the domain {name}" for name in self.domains - now.domains),
        ]
