"""Runs ``uuidfs reconcile`` in a private host, kills it and starts it again."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from types import TracebackType

from tests.live.private_host import ENVIRONMENT, PrivateHost, uuidfs_command, wait_for
from tests.live.views import plain_files


class Reconciler:
    """The daemon in one host; a context manager that ends it by SIGTERM."""

    def __init__(
        self, host: PrivateHost, program: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> None:
        self.host = host
        self._program = (program, env or {}) if program else uuidfs_command()
        self.log = (host.root / "reconciler.log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Reconciler":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None:
            self.end(signal.SIGTERM)
        self.log.close()
        if kind is not None:
            print(self.said())

    def said(self) -> str:
        """Its log."""
        return (self.host.root / "reconciler.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it; returns once it watches."""
        command, extra = self._program
        before = self.passes()
        self.process = subprocess.Popen(
            [
                "nsenter",
                "-m",
                "-p",
                "-n",
                "-t",
                str(self.host.keeper_pid),
                "--",
                *command,
                "reconcile",
            ],
            env=ENVIRONMENT | extra,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        wait_for(lambda: self.passes() > before, "the reconciler's first pass")

    def passes(self) -> float:
        """When the last full pass ended."""
        try:
            text = self.host.path("/run/uuidfs/reconciler.json").read_text()
        except FileNotFoundError:
            return 0.0
        return float(json.loads(text)["passed"])

    def pid(self) -> int:
        """Its process id, in the tests' own namespace; nsenter forks."""
        assert self.process is not None
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return int(file.read().split()[0])

    def end(self, number: int) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        os.kill(self.pid(), number)
        assert self.process is not None
        code = self.process.wait(120)
        self.process = None
        return code

    def settle(self, *, clean_only: bool = False) -> None:
        """Wait until it has nothing left to do. ``clean_only``: libvirtd was killed, so that
        half-written files of no domain may stay."""
        found = ""

        def done() -> bool:
            nonlocal found
            check = self.host.uuidfs("check", "--json")
            found = f"{plain_files(self.host)} {check.out if check.exit else ''}"
            return check.exit == 0 and (clean_only or plain_files(self.host) == [])

        try:
            wait_for(done, "the reconciler is done")
        except AssertionError as error:
            tree = self.host.run("ls", "-lRi", "/etc/libvirt/qemu", "/var/log/libvirt/qemu").out
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.random.uniform(0.05, 1.5)):
            self.reconciler.end(signal.SIGKILL)
            self.kills += 1
            time.sleep(self.random.choice((0.0, 0.0, 0.5)))
            self.reconciler.start()
