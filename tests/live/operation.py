"""Several guests of different sizes, and what an operation on all of them says."""

import json
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from struct import pack
from termios import TIOCSWINSZ
from typing import Any

from tests.live import guest
from tests.live.migration import SESSIONS, command, counts, leftovers
from tests.live.private_host import ENVIRONMENT, PrivateHost
from tests.support.process import PATIENCE, Done, wait_for

NUMBERS = {"a": 1, "b": 2, "c": 3}

MARK = "<memoryBacking><allocation mode='immediate'/></memoryBacking>"


def start(host: PrivateHost, **sizes: int) -> None:
    """Start guests of so many MiB, all of which they have from the start."""
    for name, size in sizes.items():
        xml = guest.domain(name, NUMBERS[name], memory=size).replace("<os>", f"{MARK}<os>")
        host.path(f"/run/{name}.xml").write_text(xml)
        host.virsh("define", f"/run/{name}.xml").ok()
        host.virsh("start", name).ok()
    for name in sizes:
        console = host.path(f"/var/lib/libvirt/images/{NUMBERS[name]}.console")
        wait_for(lambda console=console: console.exists(), f"{name} runs")  # type: ignore[misc]
        wait_for(lambda name=name: counts(host, NUMBERS[name]), f"{name} counts")  # type: ignore[misc]


def pids(host: PrivateHost) -> dict[str, int]:
    """The QEMU processes of those that run at home."""
    return {
        name: host.qemu_pid(name)
        for name in NUMBERS
        if host.path(f"/run/libvirt/qemu/{name}.pid").exists()
    }


def moved(host: PrivateHost, before: Mapping[str, int]) -> str:
    """The names of those that are in another process; asserts that all run, and nothing is left."""
    after = pids(host)
    assert after.keys() == before.keys()
    assert leftovers(host) == []
    return "".join(name for name in before if after[name] != before[name])


def outcomes(said: Done) -> dict[str, str]:
    """By name, in the order of the operation; asserts that the summary counts them."""
    whole: dict[str, Any] = json.loads(said.out)
    found = {one["name"]: one["outcome"] for one in whole["domains"]}
    for outcome in found.values():
        assert whole["summary"][outcome] == sum(each == outcome for each in found.values())
    return found


def stuck(host: PrivateHost, name: str) -> str:
    """Let a guest's trip fail as it begins: its directory can be neither removed nor made anew."""
    path = f"{SESSIONS}/peer-{guest.uuid(NUMBERS[name])}/lib"
    host.run("mkdir", "-p", path).ok()
    host.run("mount", "-t", "tmpfs", "-o", "ro", "none", path).ok()
    return path


def freed(host: PrivateHost, path: str) -> None:
    """Take that away."""
    host.run("umount", path).ok()
    host.run("rm", "-r", path.rpartition("/")[0]).ok()


def hint(said: str) -> list[str]:
    """The options to go on with, as people copy them."""
    found = re.search(r"to go on, run this again with (.*)", said)
    assert found, said
    return found[1].split()


def sessions(host: PrivateHost) -> int:
    """How many trips are under way."""
    return len(list(host.path(SESSIONS).glob("*.json")))


def on_a_terminal(
    host: PrivateHost, words: Sequence[str], columns: int, rows: int, *, hang_up: bool = False
) -> tuple[int, str, str]:
    """Run a command with standard error on a terminal; its exit code, its output, the screen's
    bytes. ``hang_up``: the terminal goes away as soon as something was drawn."""
    program, env = command()
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, pack("HHHH", rows, columns, 0, 0))
    running = subprocess.Popen(
        host.inside(*program, *words),
        env=ENVIRONMENT | env | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    drawn = b""
    end = time.monotonic() + PATIENCE
    while running.poll() is None and not (hang_up and b"under way" in drawn):
        assert time.monotonic() < end, "it hangs"
        if select.select([ours], [], [], 0.1)[0]:
            drawn += _read(ours)
    if not hang_up:
        while part := _read(ours):
            drawn += part
    os.close(ours)
    out, _ = running.communicate(timeout=PATIENCE)
    return running.returncode, out, drawn.decode(errors="replace")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: nobody has the other end
        return b""


def screen(drawn: str, columns: int) -> list[str]:
    """What stands on a terminal in the end; asserts that no line was too long for it."""
    lines = [""]
    at = 0
    for part in re.findall(r"\x1b\[\d*[A-Z]|\r\n|[^\x1b\r]+|.", drawn, re.DOTALL):
        if part == "\r\n":
            at += 1
            lines += [""] * (at + 1 - len(lines))
        elif part == "\x1b[J":
            lines = [*lines[:at], ""]
        elif up := re.fullmatch(r"\x1b\[(\d+)F", part):
            at -= int(up[1])
            assert at >= 0, "above what was printed"
        else:
            assert part.isprintable(), f"not understood: {part!r}"
            lines[at] += part
            # Only the view knows how wide the terminal is; results are as long as they are.
            assert ":" in part or len(part) < columns, part
    return lines
