"""Watches a hop from outside: the incoming process, the peer, progress, and what people want.

What it asks of libvirt it asks in threads, since a QEMU process that hangs lets its daemon wait
for ever, and that lets us.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from uuidfs.localmigration.connection import module
from uuidfs.localmigration.processes import FIRST_TO_DIE, process_of

POLL = 0.02  # seconds between two looks

STALL = 120.0  # seconds without a byte moved, after which a hop is given up

GRACE = 60.0  # seconds for a hop to end once it was given up; libvirt's keepalive needs 30

HANGS = 10.0  # the same where the host's daemon does not answer: it has had its keepalive's time

AGAIN = 0.2  # seconds between two attempts to abort: libvirt may not have begun its job yet

ABORTS = 3  # attempts that wait for an answer at once


class Watch:
    """One hop while it runs. ``domain`` is the source."""

    def __init__(
        self,
        domain: Any,
        incoming: str,
        go_on: Callable[[], None],
        timeout: float,
        cancelled: threading.Event,
        answers: Callable[[], bool],
    ) -> None:
        """``incoming``: the pid file of the process that the guest goes to. ``go_on`` lets a peer
        that somebody stopped go on. ``answers`` tells whether the host's daemon still does."""
        self.stats: dict[str, Any] = {}
        self.given_up = ""
        self.autostart: bool | None = None
        self._domain = domain
        self._incoming = incoming
        self._go_on = go_on
        self._timeout = timeout
        self._cancelled = cancelled
        self._answers = answers
        self._grace = GRACE
        self._asked = 0.0
        self._aborts: list[threading.Thread] = []
        self._began = self._moved = time.monotonic()
        self._over = threading.Event()
        self._marked = 0
        self._seen = -1
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        """How far it is, in a thread of its own; and whether it is started with the host, which
        nobody can change once libvirt's job has begun, and a live rename forgets."""
        libvirt = module()
        while True:
            with contextlib.suppress(libvirt.libvirtError):
                self.stats = self._domain.jobStats()
                self.autostart = bool(self._domain.autostart())
            if self._over.wait(POLL * 5):
                return

    def look(self) -> bool:
        """One look; tells whether to go on waiting for the hop."""
        now = time.monotonic()
        self._mark()
        self._go_on()
        moved = self.stats.get("data_processed", 0)
        if moved != self._seen:
            self._seen, self._moved = moved, now
        if not self.given_up:
            if self._cancelled.is_set():
                self._give_up("it was interrupted")
            elif not self._answers():
                self._grace = HANGS
                self._give_up("the host's daemon does not answer")
            elif self._timeout and now - self._began > self._timeout:
                self._give_up(f"it took longer than {self._timeout:g} s")
            elif now - self._moved > STALL:
                self._give_up(f"nothing has moved for {STALL:g} s")
        elif now - self._asked > AGAIN:
            self._abort()
        return not self.given_up or now - self._moved < self._grace

    def _mark(self) -> None:
        """Should memory run out, the incoming process dies, and the guest is where it was."""
        incoming = process_of(self._incoming)
        if incoming is None:
            return
        with incoming:
            if incoming.pid != self._marked and incoming.set_oom_score_adj(FIRST_TO_DIE):
                self._marked = incoming.pid
            incoming.go_on()

    def _give_up(self, why: str) -> None:
        self.given_up = why
        self._moved = time.monotonic()
        self._abort()

    def _abort(self) -> None:
        """In a thread: libvirt may keep the question until the hop is over."""
        self._asked = time.monotonic()
        self._aborts = [one for one in self._aborts if one.is_alive()]
        if len(self._aborts) < ABORTS:
            self._aborts.append(threading.Thread(target=self._ask_to_abort, daemon=True))
            self._aborts[-1].start()

    def _ask_to_abort(self) -> None:
        with contextlib.suppress(module().libvirtError):
            self._domain.abortJob()

    def end(self) -> None:
        """The hop is over."""
        self._over.set()


def unmark(pid_file: str, oom_score_adj: int) -> None:
    """Give a process its place in the OOM killer's order back, where it has ours."""
    process = process_of(pid_file)
    if process is not None:
        with process:
            if process.oom_score_adj == FIRST_TO_DIE:
                process.set_oom_score_adj(oom_score_adj)
