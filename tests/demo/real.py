"""Real hosts: libvirtd and QEMU in namespaces of their own, beside the machine's own libvirt."""

import importlib.util
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Self

from tests.demo.hosts import CHECKPOINT, Demonstrated
from tests.live import guest
from tests.live.migration import counts
from tests.live.private_host import PrivateHost
from tests.live.reconciler import Reconciler
from tests.support.process import Daemon, Done, wait_for
from tests.support.trees import uuid_for

COUNTING = 2  # the number of the guest that runs all the time
ALL = ("--checkpoints-metadata", "--snapshots-metadata")


class Real(Demonstrated):
    """A context manager. ``images`` has the disk that all guests get a copy of."""

    def __init__(self, images: Path) -> None:
        self._images = images
        self._host = PrivateHost()

    def __enter__(self) -> Self:
        self._host.__enter__()
        try:
            guest.add_disks(self._host, self._images / "boot.qcow2")
            self._define("web", 1, uuid_for("web"))
            self._define("db", COUNTING, uuid_for("db"))
            checkpoint = guest.checkpoint(CHECKPOINT)
            redefine = ("checkpoint-create", "web", "/dev/stdin", "--redefine")
            self._host.run("virsh", *redefine, text=checkpoint).ok()
            self.run_once("web")
            self.virsh("start", "db").ok()
        except BaseException:
            self._host.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._host.close()

    def virsh(self, *words: str) -> Done:
        """Run one virsh command."""
        return self._host.virsh(*words)

    def path(self, path: str) -> Path:
        return self._host.path(path)

    def _define(self, name: str, number: int, uuid: str) -> None:
        xml = guest.domain(name, number).replace(guest.uuid(number), uuid)
        self._host.run("virsh", "define", "/dev/stdin", text=xml).ok()

    def run_once(self, name: str) -> None:
        self.virsh("start", name).ok()
        self.virsh("destroy", name).ok()

    def rename(self, old: str, new: str) -> None:
        self.virsh("domrename", old, new).ok()

    def define_and_start(self, name: str) -> None:
        self._define(name, 3, uuid_for(f"the next {name}"))
        self.run_once(name)

    def restart(self) -> None:
        self._host.restart()

    def checkpoints(self, name: str) -> list[str]:
        return self.virsh("checkpoint-list", name, "--name").ok().out.split()

    def undefine(self, name: str) -> None:
        self.virsh("undefine", name, *ALL).ok()

    def names(self) -> list[str]:
        return self.virsh("list", "--all", "--name").ok().out.split()

    def uuidfs(self, *words: str) -> Done:
        return self._host.uuidfs(*words)

    def reconciler(self) -> Daemon:
        return _Undisturbed(self._host)

    def install_hook(self) -> None:
        """As the package does."""
        self._host.install_hook()

    def pid(self, name: str) -> int:
        """The process id of a running domain's QEMU."""
        return self._host.qemu_pid(name)

    def counted(self) -> int:
        """How far the guest has counted; it goes on."""
        before = len(counts(self._host, COUNTING))
        wait_for(lambda: len(counts(self._host, COUNTING)) > before + 1, "the guest counts")
        return counts(self._host, COUNTING)[-1]

    def gaps(self) -> set[int]:
        """By how much the counter rose from line to line, since the guest's start."""
        numbers = counts(self._host, COUNTING)
        return {after - before for before, after in pairwise(numbers)}


class _Undisturbed(Reconciler):
    """Ctrl-C is for the demo, which ends it."""

    def __init__(self, host: PrivateHost) -> None:
        super().__init__(host)
        self._command = ["setsid", *self._command]


@contextmanager
def two() -> Iterator[tuple[Real, Real]]:
    """Two hosts that have the same domains."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="uuidfs-demo-") as directory:
        images = Path(directory)
        guest.make_disk_template(images)
        pair = Real(images), Real(images)
        with ThreadPoolExecutor() as pool:
            coming = [pool.submit(stack.enter_context, one) for one in pair]
        for each in coming:
            each.result()
        yield pair


def can_move() -> bool:
    """Whether a running guest can be renamed: uuidfs asks libvirt's Python module for that."""
    return importlib.util.find_spec("libvirt") is not None
