"""A control group with a limit of memory, of version 1 or 2, around a private host's daemon."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.private_host import PrivateHost
from tests.support.process import wait_for

_ROOT = Path("/sys/fs/cgroup")


class MemoryGroup:
    """One group. What is started by ``entering`` is in it, and so are all its children."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._two = (path / "memory.max").exists()

    def entering(self, *command: str) -> list[str]:
        """The words that run a command in the group."""
        return ["sh", "-c", f'echo 0 >{self.path}/cgroup.procs && exec "$@"', "sh", *command]

    def used(self) -> int:
        """Bytes that cannot be dropped."""
        lines = (line.split() for line in (self.path / "memory.stat").read_text().splitlines())
        stat = {line[0]: int(line[1]) for line in lines}
        used = int((self.path / self._file("memory.current", "memory.usage_in_bytes")).read_text())
        before = "" if self._two else "total_"
        return used - stat[f"{before}active_file"] - stat[f"{before}inactive_file"]

    def limit(self, size: int) -> None:
        """Set it, in bytes; -1 for none."""
        text = "max" if self._two and size < 0 else str(size)
        (self.path / self._file("memory.max", "memory.limit_in_bytes")).write_text(text)

    def at_most_more(self, size: int) -> str:
        """A shell command that limits it to so many bytes more than it has at that time."""
        used = self.path / self._file("memory.current", "memory.usage_in_bytes")
        limit = self.path / self._file("memory.max", "memory.limit_in_bytes")
        return f"echo $(($(cat {used}) + {size})) >{limit}"

    def no_limit(self) -> str:
        """A shell command that takes the limit away."""
        if self._two:
            return f"echo max >{self.path}/memory.max"
        return f"echo -1 >{self.path}/memory.limit_in_bytes"

    def kills(self) -> int:
        """How often the OOM killer came."""
        text = (self.path / self._file("memory.events", "memory.oom_control")).read_text()
        return sum(int(line.split()[1]) for line in text.splitlines() if "oom_kill " in line)

    def add(self, pid: int) -> None:
        """Move a process into it; what it has already stays accounted to where it was."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def _file(self, two: str, one: str) -> str:
        return two if self._two else one


@contextlib.contextmanager
def memory_group(host: PrivateHost) -> Iterator[MemoryGroup]:
    """A group in which the host's daemon is started again; skips where there can be none."""
    one = _ROOT / "memory"
    path = (one if one.is_dir() else _ROOT) / f"uuidfs-{os.getpid()}"
    try:
        if not one.is_dir():
            (_ROOT / "cgroup.subtree_control").write_text("+memory")
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no control group for memory can be made here: {error}")
    group = MemoryGroup(path)
    try:
        host.libvirtd.stop()
        daemon = host.libvirtd
        host.run(*group.entering(daemon.program, "--daemon", "--pid-file", daemon.pid_file)).ok()
        daemon.pid = int(host.path(daemon.pid_file).read_text())
        host.reload()
        yield group
    finally:
        group.limit(-1)
        host.close()
        wait_for(lambda: not (path / "cgroup.procs").read_text(), "nothing is left in the group")
        path.rmdir()
