"""Lines for the host's journal: by a /dev/log in a namespace, by none, and by one that hangs."""

import os
import sys
import time

import pytest

from tests.support.process import REPOSITORY, run
from uuidfs.cli.journal import ACTION

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a /dev of its own")

# What an operation writes, with somebody who listens at /dev/log or does not.
_CODE = r"""
import socket, sys, time
from uuidfs.cli.journal import Journal
from uuidfs.localmigration.results import OperationResult, TripResult
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if sys.argv[1] != "absent":
    log.bind("/dev/log")
log.settimeout(5)
if sys.argv[1] == "hangs":
    full = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    full.connect("/dev/log")
    full.setblocking(False)
    try:
        while True:
            full.send(b"x")
    except BlockingIOError:
        pass
trips = (
    TripResult("we b", "uuid-1", 2.25, (20, 31), "host"),
    TripResult("caf\udcc3", "uuid-2", error="busy: x=1\nnext", busy=True, outcome="busy"),
)
with Journal() as journal:
    journal.begins(2, "2026-11-26T08:00:00.000+00:00")
    for trip in trips:
        journal.trip(trip)
    journal.ends(OperationResult(trips, 0.0, 9.0, "interrupted"), "2026-11-26T08:00:00.000+00:00")
if sys.argv[1] == "there":
    for _ in range(4):
        print(log.recv(65536).decode())
"""


def written(log: str) -> tuple[list[str], float]:
    """The lines, and how long it took."""
    own = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev && exec "$@"', "sh")
    if (probe := run(*own, "true")).code:  # in a plain chroot, say
        pytest.skip(f"nothing can be mounted for one process here: {probe.err.strip()}")
    began = time.monotonic()
    done = run(
        *own,
        sys.executable,
        "-c",
        _CODE,
        log,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    ).ok()
    return done.out.splitlines(), time.monotonic() - began


@root_only
def test_a_line_for_each_trip_and_two_for_the_whole() -> None:
    lines, _ = written("there")
    assert len(lines) == 4
    levels = [line[: line.index(">") + 1] for line in lines]
    assert levels == ["<30>", "<30>", "<28>", "<28>"], "LOG_DAEMON, 6 and 4"
    assert all("uuidfs[" in line for line in lines)
    said = [line.split("]: ", 1)[1].rstrip("\0") for line in lines]
    assert said == [
        f"action={ACTION} guests=2 began=2026-11-26T08:00:00.000+00:00 an operation begins",
        f'name="we b" uuid=uuid-1 action={ACTION} outcome=moved seconds=2.2 downtimes=20,31 moved',
        f'name="caf\\\\xc3" uuid=uuid-2 action={ACTION} outcome=busy busy: x=1 next',
        f"action={ACTION} moved=1 up_to_date=0 refused=0 busy=1 failed=0 not_begun=0 seconds=9.0 "
        f"began=2026-11-26T08:00:00.000+00:00 stopped=interrupted longest_downtime=31 "
        f"an operation is over",
    ]


@root_only
@pytest.mark.parametrize("log", ["absent", "hangs"])
def test_without_a_log_or_with_one_that_hangs_the_command_ends(log: str) -> None:
    _, seconds = written(log)
    assert seconds < 60
