"""Random operations on many domains, with everything killed now and then.

Half a minute here; ``UUIDFS_SOAK_SECONDS=600 pytest tests/live/test_soak.py -s`` for ten.
"""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.live.conftest import MakeHost
from tests.live.private_host import PrivateHost
from tests.live.reconciler import Reconciler
from tests.live.views import plain_files

SECONDS = float(os.environ.get("UUIDFS_SOAK_SECONDS", "30"))
# UUIDFS_SEED=0 takes another one each time; .ci/run says the same each time.
SEED = int(os.environ.get("UUIDFS_SEED", "20261123")) or random.SystemRandom().randrange(10**9)
DOMAINS = 50
RUNNING = 6  # guests at a time: they are emulated


def uuid(number: int) -> str:
    return f"00000000-0000-4000-9000-{number:012d}"


def domain(name: str, number: int, memory: int = 16) -> str:
    """A guest without a disk."""
    return (
        f"<domain type='qemu'><name>{name}</name><uuid>{uuid(number)}</uuid>"
        f"<memory unit='MiB'>{memory}</memory>"
        "<os><type arch='x86_64' machine='pc'>hvm</type></os>"
        "<devices><controller type='usb' model='none'/><memballoon model='none'/></devices>"
        "</domain>"
    )


def snapshot(name: str, inside: str) -> str:
    return (
        f"<domainsnapshot><name>{name}</name><state>shutoff</state>"
        f"<creationTime>1700000000</creationTime>{inside}</domainsnapshot>"
    )


class Operator:
    """Somebody who works on his share of the domains, as fast as virsh goes."""

    def __init__(self, host: PrivateHost, numbers: range, seed: int) -> None:
        self.host = host
        self.numbers = list(numbers)
        self.chance = random.Random(seed)
        self.names = {number: f"d{number}" for number in numbers}
        self.running: list[int] = []
        self.done: dict[str, int] = {}
        self.files = 0

    def work(self, until: float) -> None:
        """Until a time of time.monotonic(). Failures are part of it: daemons are killed."""
        actions: list[Callable[[int], None]] = [
            self.save,
            self.save,
            self.rename,
            self.start,
            self.stop,
            self.snapshot,
            self.snapshot_delete,
            self.undefine_and_define,
        ]
        while time.monotonic() < until:
            action = self.chance.choice(actions)
            action(self.chance.choice(self.numbers))

    def _virsh(self, *words: str) -> bool:
        good = self.host.virsh(*words).code == 0
        key = f"{words[0]}{'' if good else ' failed'}"
        self.done[key] = self.done.get(key, 0) + 1
        return good

    def _file(self, text: str) -> str:
        self.files += 1
        path = f"/run/input-{self.numbers[0]}-{self.files % 10}.xml"
        self.host.path(path).write_text(text)
        return path

    def define(self, number: int) -> None:
        self._virsh("define", self._file(domain(self.names[number], number)))

    def save(self, number: int) -> None:
        self._virsh("setmem", uuid(number), f"{self.chance.randrange(8, 16)}MiB", "--config")

    def rename(self, number: int) -> None:
        new = f"d{number}{self.chance.choice(('', '-a', '-b'))}"
        if self._virsh("domrename", uuid(number), new):
            self.names[number] = new

    def start(self, number: int) -> None:
        while len(self.running) >= RUNNING // 2:
            self._virsh("destroy", uuid(self.running.pop(0)))
        if self._virsh("start", uuid(number)):
            self.running.append(number)

    def stop(self, number: int) -> None:
        if number in self.running:
            self.running.remove(number)
            self._virsh("destroy", uuid(number))

    def snapshot(self, number: int) -> None:
        name = f"s{self.chance.randrange(3)}"
        text = snapshot(name, domain(self.names[number], number))
        self._virsh("snapshot-create", uuid(number), self._file(text), "--redefine")

    def snapshot_delete(self, number: int) -> None:
        self._virsh("snapshot-delete", uuid(number), f"s{self.chance.randrange(3)}", "--metadata")

    def undefine_and_define(self, number: int) -> None:
        self._virsh("undefine", uuid(number), "--snapshots-metadata")
        self.define(number)


def kill_now_and_then(
    host: PrivateHost, reconciler: Reconciler, until: float, seed: int
) -> dict[str, int]:
    """Kills and starts again, for the first half; the second shows whether anything grows."""
    chance = random.Random(seed)
    kills = {"reconciler": 0, "libvirtd": 0, "virtlogd": 0}
    while time.monotonic() < until:
        time.sleep(chance.uniform(0.5, 4.0))
        victim = chance.choice(list(kills))
        kills[victim] += 1
        if victim == "reconciler":
            reconciler.end(signal.SIGKILL)
            time.sleep(chance.choice((0.0, 1.0)))
            reconciler.start()
        else:
            daemon = host.libvirtd if victim == "libvirtd" else host.virtlogd
            daemon.kill()
            daemon.start()
    return kills


def size(reconciler: Reconciler) -> tuple[int, int]:
    """Descriptors and resident KiB of the daemon."""
    pid = reconciler.pid()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return len(os.listdir(f"/proc/{pid}/fd")), pages * os.sysconf("SC_PAGE_SIZE") // 1024


REFUSED = re.compile(
    r"(/etc/libvirt/qemu/\S+\.xml): (?:it has the UUID of '\S+'|'\S+' lacks its snapshot)"
)
"""libvirtd was killed in a rename, and the domain changed or undefined before it was finished."""


class Person:
    """Does what the reconciler asks a person to do, from now on."""

    def __init__(self, host: PrivateHost, reconciler: Reconciler) -> None:
        self.host, self.reconciler = host, reconciler
        self.before = len(reconciler.said())
        self.moved: list[str] = []

    def decides(self) -> None:
        for path in set(REFUSED.findall(self.reconciler.said()[self.before :])) - {*self.moved}:
            self.host.run("mv", path, "/run/").ok()
            self.moved.append(path)


def test_soak(make_host: MakeHost, uuidfs_works: None) -> None:
    print(f"\nseed {SEED}, {SECONDS:g} s")
    host = make_host(log_size=4096)
    host.install_hook()
    operators = [Operator(host, range(n, DOMAINS, 2), SEED + n) for n in range(2)]
    for operator in operators:
        for number in operator.numbers:
            operator.define(number)
    with Reconciler(host) as reconciler:
        began = time.monotonic()
        threads = [
            threading.Thread(target=operator.work, args=(began + SECONDS,))
            for operator in operators
        ]
        for thread in threads:
            thread.start()
        kills = kill_now_and_then(host, reconciler, began + SECONDS / 2, SEED)
        time.sleep(SECONDS / 10)
        before = size(reconciler)
        for thread in threads:
            thread.join()
        person = Person(host, reconciler)
        reconciler.settle(clean_only=True, meanwhile=person.decides)
        after = size(reconciler)
        found = host.uuidfs("check", "--json").json["findings"]
    assert len(person.moved) <= kills["libvirtd"], person.moved
    print(f"kills {kills}; moved away {person.moved}; descriptors and KiB {before} -> {after}")
    for operator in operators:
        print(dict(sorted(operator.done.items())))
    assert found == []
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1] * 1.2 + 2048
    uuids = host.virsh("list", "--all", "--uuid").ok().out.split()
    assert len(set(uuids)) == len(uuids)
    bound = [path for path in plain_files(host) if path.startswith(("etc/", "log/"))]
    assert bound == [], "everything that has a name is a link"
