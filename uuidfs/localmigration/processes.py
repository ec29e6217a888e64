"""The processes of a trip, told by the lock on their pid file and held by descriptors.

A number may become another process's at any time. A descriptor of /proc/PID and a pidfd stay
with the process that they were opened for: what is read, written and signalled is its own.
"""

import contextlib
import os
import select
import signal

from uuidfs.host.pid_files import holder_of

FIRST_TO_DIE = 1000  # oom_score_adj(5): the OOM killer takes this one before any other

_STOPPED = frozenset({"T", "t"})


class Process:
    """One process, while a with block lasts. Methods do nothing once it has ended."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError when there is none."""
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)
        try:
            self._proc = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            os.close(self._pidfd)
            raise ProcessLookupError(pid) from None

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        os.close(self._pidfd)
        os.close(self._proc)

    def read(self, name: str) -> str:
        """A file of /proc/PID, empty when the process has ended or the kernel has no such file."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        except OSError:
            return ""
        with open(fd, errors="surrogateescape") as file:
            try:
                return file.read()
            except OSError:
                return ""

    @property
    def state(self) -> str:
        """The letter of /proc/PID/stat; empty when it has ended."""
        text = self.read("stat")
        return text[text.rindex(")") + 2] if ")" in text else ""

    @property
    def stopped(self) -> bool:
        """Whether a SIGSTOP or a debugger holds it."""
        return self.state in _STOPPED

    @property
    def owner(self) -> tuple[int, int]:
        """Its user and group. Raises ProcessLookupError when it has ended."""
        words = {line.split(":")[0]: line.split()[1:] for line in self.read("status").splitlines()}
        if "Uid" not in words:
            raise ProcessLookupError(self.pid)
        return int(words["Uid"][1]), int(words["Gid"][1])

    @property
    def label(self) -> str:
        """What a security module calls it; empty where none does, or it is not confined."""
        text = self.read("attr/current").strip("\0\n ")
        return "" if text in {"", "unconfined", "kernel"} else text

    def memory(self) -> int:
        """Bytes that only it has: anonymous, shared memory, swapped, and huge pages."""
        wanted = {"RssAnon", "RssShmem", "VmSwap", "HugetlbPages"}
        lines = (line.split() for line in self.read("status").splitlines())
        return sum(int(w[1]) << 10 for w in lines if w and w[0].rstrip(":") in wanted)

    @property
    def oom_score_adj(self) -> int | None:
        """Its place in the OOM killer's order; None when it has ended."""
        text = self.read("oom_score_adj").strip()
        return int(text) if text else None

    def set_oom_score_adj(self, value: int) -> bool:
        """Set it; tells whether that was possible."""
        try:
            fd = os.open("oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._proc)
            try:
                os.write(fd, str(value).encode())
            finally:
                os.close(fd)
        except OSError:
            return False
        return True

    def died(self, seconds: float) -> bool:
        """Whether it ends within so long. It is out of memory then, but for its zombie."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def send(self, number: int) -> None:
        """Send a signal."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def go_on(self) -> bool:
        """SIGCONT where it was stopped; tells whether it was."""
        if not self.stopped:
            return False
        self.send(signal.SIGCONT)
        return True

    def namespace(self) -> int:
        """A descriptor of its mount namespace, the caller's to close. Raises OSError."""
        return os.open("ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)

    def files(self) -> frozenset[tuple[int, int]]:
        """Device and inode of all that it has open. Raises OSError, also when it has ended."""
        directory = os.open("fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._proc)
        found = set()
        try:
            for name in os.listdir(directory):
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    status = os.stat(name, dir_fd=directory)
                    found.add((status.st_dev, status.st_ino))
        finally:
            os.close(directory)
        return frozenset(found)


def process_of(pid_file: str) -> Process | None:
    """The process that holds a pid file; None when nobody does. Raises SystemCallFailed."""
    pid = holder_of(pid_file)
    if not pid:
        return None
    try:
        process = Process(pid)
    except ProcessLookupError:
        return None
    if holder_of(pid_file) != pid:  # it ended, and the number may be another process's by now
        process.close()
        return None
    return process
