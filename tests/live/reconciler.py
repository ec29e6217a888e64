"""Runs ``uuidfs reconcile`` in a private host, kills it and starts it again."""

import random
import signal
import threading
import time
from collections.abc import Callable, Sequence

from tests.live.private_host import ENVIRONMENT, PrivateHost, uuidfs_command
from tests.live.views import plain_files
from tests.support.process import Daemon, wait_for


class Reconciler(Daemon):
    """The daemon in one host."""

    def __init__(
        self, host: PrivateHost, program: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> None:
        command, extra = (program, env or {}) if program else uuidfs_command()
        super().__init__(
            host.inside(*command, "reconcile"),
            host.path("/run/uuidfs/reconciler.json"),
            ENVIRONMENT | extra,
        )
        self.host = host

    def pid(self) -> int:
        """Its process id, in the tests' own namespace; nsenter forks."""
        assert self.process is not None
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return int(file.read().split()[0])

    def settle(
        self, *, clean_only: bool = False, meanwhile: Callable[[], object] = lambda: None
    ) -> None:
        """Wait until it has nothing left to do. ``clean_only``: libvirtd was killed, so that
        half-written files of no domain may stay. ``meanwhile``: what a person does, again and
        again."""
        found = ""

        def done() -> bool:
            nonlocal found
            meanwhile()
            check = self.host.uuidfs("check", "--json")
            found = f"{plain_files(self.host)} {check.out if check.code else ''}"
            return check.code == 0 and (clean_only or plain_files(self.host) == [])

        try:
            wait_for(done, "the reconciler is done")
        except AssertionError as error:
            where = ("/etc/libvirt/qemu", "/run/libvirt/qemu", "/var/log/libvirt/qemu")
            tree = self.host.run("ls", "-lRi", *where).out
            raise AssertionError(f"{error}: {found}\n{tree}") from None


class Killer:
    """Kills and restarts a reconciler at random moments, from a seed, until it is left."""

    def __init__(self, reconciler: Reconciler, seed: int) -> None:
        self.reconciler = reconciler
        self.random = random.Random(seed)
        self.kills = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.random.uniform(0.05, 1.5)):
            self.reconciler.end(signal.SIGKILL)
            self.kills += 1
            time.sleep(self.random.choice((0.0, 0.0, 0.5)))
            self.reconciler.start()
