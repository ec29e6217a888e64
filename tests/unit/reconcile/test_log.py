"""Log lines of the daemon, and what they do when nobody reads them."""

import fcntl
import os
import subprocess
import sys

from tests.support.process import REPOSITORY

TALK = """
import sys
from uuidfs.reconcile import log
for number in range(int(sys.argv[1])):
    log.warning("x" * 100, number=number)
print("done")
"""


def talk(lines: int, stderr: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TALK, str(lines)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=stderr, text=True
    )


def test_a_pipe_that_nobody_reads_does_not_hold_up_the_daemon() -> None:
    """On 8923101 the reconciler stopped folding after some hundred lines, for ever."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    process = talk(1000, writing)
    os.close(writing)
    out, _ = process.communicate(timeout=120)
    said = os.read(reading, 1 << 20).decode()
    os.close(reading)
    assert out == "done\n"
    assert said.startswith("uuidfs: number=0 xxx")
    assert said.endswith("\n")


def test_dropped_lines_are_told_of_once_somebody_reads_again() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    process = subprocess.Popen(
        [sys.executable, "-c", f"{TALK}sys.stdout.flush(); input(); log.info('again')", "1000"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=writing,
        text=True,
    )
    os.close(writing)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    said = os.read(reading, 1 << 20).decode()
    process.communicate("\n", timeout=120)
    told, again = os.read(reading, 1 << 20).decode().splitlines()
    os.close(reading)
    assert told == f"uuidfs: {1000 - said.count(chr(10))} lines were dropped: nobody read them"
    assert again == "uuidfs: again"
