"""Cuts the power of machines that are at work, boots what that left, and has it looked at.

Of each machine's cuts the last one is QEMU killed, and its disk boots in QEMU. The others are
copies of the disk, made while QEMU is stopped between two system calls: what a kill there leaves.
They boot as containers (container.py) where this machine can. UUIDFS_HOST_BOOT says which cuts boot
in QEMU: "killed" ones (the default), "all", "none"."""

import os
import random
import re
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.host import container, states, world
from tests.host.host import Host
from tests.host.states import NewHost

CUTS = int(os.environ.get("UUIDFS_HOST_CUTS", "3"))
SEED = int(os.environ.get("UUIDFS_HOST_SEED") or time.time_ns() % 100_000)
AT_ONCE = int(os.environ.get("UUIDFS_HOST_AT_ONCE", "5"))  # cuts of one machine
KEEP = os.environ.get("UUIDFS_HOST_KEEP")  # a directory for disks after whose boot something failed
BOOT = os.environ.get("UUIDFS_HOST_BOOT", "killed") if container.missing() is None else "all"
PHASE = "phase: "  # before the name of what the work does from now on, in what it prints


@dataclass(frozen=True)
class Cut:
    """One cut: what it fell into, and when."""

    number: int
    disk: Path
    phase: str
    after: float
    how: str


def after_cuts(
    make: NewHost,
    prepare: Callable[[Host], None],
    work: str,
    look: Callable[[Host], None],
    *,
    pause: float = 8.0,
) -> None:
    """Cut ``work`` off CUTS times, and look at each host that has booted then; print all of it.

    ``work`` is a shell command that does not end by itself. ``pause`` is the longest time between
    two cuts, in seconds. A host that does not look well is printed; the others follow."""
    chance = random.Random(f"{SEED} {work}")
    print(f"\nseed {SEED}", flush=True)
    failed = 0
    for first in range(0, CUTS, AT_ONCE):
        with states.directory() as disks:
            last = min(first + AT_ONCE, CUTS) - 1
            pauses = [chance.uniform(0.2, pause) for _ in range(first, last + 1)]
            with make() as machine:
                image = machine.image
                prepare(machine)
                cuts = _cut(machine, work, disks, first, pauses)
            for cut in cuts:
                failed += not _looks_well(image, cut, look)
    assert not failed, f"after {failed} of {CUTS} cuts something was not as promised"


def _cut(machine: Host, work: str, disks: Path, first: int, pauses: list[float]) -> list[Cut]:
    """Start the work, and copy the disk again and again; at the end kill the machine."""
    said = disks / "said"
    process = machine.start(work, said)
    while PHASE not in said.read_text(errors="replace"):
        assert process.poll() is None, f"the work has ended: {said.read_text()}"
        time.sleep(0.05)
    cuts, began = [], time.monotonic()
    for number, pause in enumerate(pauses, first):
        time.sleep(pause)
        assert process.poll() is None, f"the work has ended: {said.read_text()}"
        disk, last = disks / str(number), number == first + len(pauses) - 1
        after = time.monotonic() - began
        if last:
            machine.cut()
        else:
            machine.copy_disk(disk)
        phase = re.findall(f"{PHASE}(.*)", said.read_text(errors="replace"))[-1]
        how = "a container's disk copied"
        if machine.emulated:
            how = "QEMU killed" if last else "disk copied"
        cuts.append(Cut(number, disk, phase, after, how))
    machine.disk.rename(cuts[-1].disk)
    process.wait()
    return cuts


def _looks_well(image: Path, cut: Cut, look: Callable[[Host], None]) -> bool:
    print(f"cut {cut.number}, {cut.how} in {cut.phase} after {cut.after:.1f} s", end="", flush=True)
    began = time.monotonic()
    try:
        if BOOT == "all" or (cut.how == "QEMU killed" and BOOT != "none"):
            with states.machine(image, cut.disk) as machine:
                print(f", booted in {machine.boot():.0f} s", end="", flush=True)
                look(machine)
        else:
            with states.container(image, cut.disk) as one:
                print(f", booted as a container in {one.boot():.0f} s", end="", flush=True)
                look(one)
    except Exception:
        print(f", FAILED\n{traceback.format_exc()}", flush=True)
        if KEEP:
            where = Path(KEEP, f"{cut.phase}-{SEED}-{cut.number}.qcow2".replace(" ", "-"))
            shutil.copy(cut.disk, where)
            print(f"the disk is kept: {where}", flush=True)
        return False
    print(f", well; {time.monotonic() - began:.0f} s", flush=True)
    return True


class Picture:
    """What libvirt finds on a host. ``renamed`` is a domain that may have another name by now: its
    files only have to be there, under one of both names, since libvirt writes them anew."""

    def __init__(self, host: Host, renamed: tuple[str, str] | None = None) -> None:
        self._renamed = renamed
        now = world.names(host)
        self._files: dict[str, str] = {}
        for path, read in now["files"].items():
            if not read.startswith("!"):
                self._files[self._same(path)] = "" if self._same(path) != path else read
        if renamed:
            for path in self._files:
                if f"/{renamed[0]}" in path:
                    self._files[path] = ""
        self._logs = {self._same(path): int(size) for path, size in now["logs"].items()}
        self.domains = {self._same(f"/{name}")[1:] for name in world.domains(host)}

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
