"""What code a process executes, and whether that is what lies on disk now: proc(5).

A number may become another process's at any time. A descriptor of /proc/PID stays with the
process that it was opened for: what is read through it is that one's, or fails with ESRCH.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from uuidfs.host.pid_files import holder, pid_file
from uuidfs.outdated.contents import Contents, File
from uuidfs.outdated.results import Reason, ReasonKind

_EXECUTABLE = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) ..x. [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) ([1-9]\d*) +(/.*)$", re.M
)
_NO_CODE = ("/memfd:", "/dev/", "/SYSV")  # code that QEMU or a library writes itself
_DELETED = " (deleted)"  # the kernel's mark for a path that leads to another file, or to none
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
_MISSING = ReasonKind.LIBRARY_MISSING, ReasonKind.BINARY_MISSING
_REPLACED = ReasonKind.LIBRARY_REPLACED, ReasonKind.BINARY_REPLACED

_Place = tuple[str, int | None]
"""A path, and the open directory that it begins at; None for an absolute one."""


def _ended() -> ProcessLookupError:
    return ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))


class Mapped(NamedTuple):
    """A file whose code a process has mapped. ``link`` leads to it below /proc/PID; ``device``
    and ``inode`` are what the kernel prints, on btrfs and overlayfs others than stat(2) tells."""

    path: str
    link: str
    device: int
    inode: int


class Running:
    """The process that holds a pid file; a context manager."""

    def __init__(self, pid: int, since: int, directory: int) -> None:
        """For :func:`running_by`. ``since`` is when it wrote its pid file, in nanoseconds."""
        self.pid = pid
        self.since = since
        self._proc = directory
        self._roots = self._ways_to_its_files()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._proc)

    def _ways_to_its_files(self) -> list[_Place]:
        """Where its paths are looked up: in its own mount namespace, then in ours.

        One that belongs to another user namespace is left out: there any user mounts what they
        like, FUSE too.
        """
        ours, its = os.stat("/proc/self/ns/user"), os.stat("ns/user", dir_fd=self._proc)
        own: list[_Place] = [("root", self._proc)]
        same = (ours.st_dev, ours.st_ino) == (its.st_dev, its.st_ino)
        return [*(own if same else []), ("", None)]

    def binary(self) -> File:
        """The file that it executes. Raises OSError."""
        try:
            return File("exe", self._proc)
        except FileNotFoundError:
            raise _ended() from None

    def binary_path(self) -> str:
        """Where that was when it was started. Raises OSError."""
        try:
            return os.readlink("exe", dir_fd=self._proc)
        except FileNotFoundError:
            raise _ended() from None

    def code(self) -> Iterator[Mapped]:
        """Its binary, then its libraries and modules. Raises OSError."""
        while True:
            path = self.binary_path()
            with self.binary() as binary:
                found = Mapped(path, "exe", binary.status.st_dev, binary.status.st_ino)
            # libvirt's child holds the pid file already, and may become QEMU between the two.
            if path == self.binary_path():
                break
        yield found
        seen = {path}
        fd = os.open("maps", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        with open(fd, "rb") as file:
            text = file.read()
        for line in _EXECUTABLE.finditer(text):
            # No zeros in front there; a binary at a fixed address has some in maps.
            link = f"map_files/{int(line[1], 16):x}-{int(line[2], 16):x}"
            path = self._path_of(link, line[6])
            if path not in seen and not path.startswith(_NO_CODE):
                seen.add(path)
                device = os.makedev(int(line[3], 16), int(line[4], 16))
                yield Mapped(path, link, device, int(line[5]))

    def _path_of(self, link: str, text: bytes) -> str:
        """maps writes a line feed as \\012, and a backslash as it is: then the link tells."""
        if rb"\012" in text:
            try:
                return os.readlink(link, dir_fd=self._proc)
            except OSError:
                pass  # not for this user, or unmapped since
        return os.fsdecode(text.replace(rb"\012", b"\n"))

    def reason(self, mapped: Mapped, contents: Contents) -> Reason | None:
        """Why a mapped file makes it outdated, None where it does not.

        A file that was overwritten in place has its old inode, and the process its new code:
        that is no finding. Raises OSError.
        """
        path, disk = self._on_disk(mapped.path)
        if disk is not None and self._is(mapped, disk[1]):
            return None
        try:
            running = File(mapped.link, self._proc)
        except FileNotFoundError:
            self.expect_alive()
            return None  # unmapped since
        with running:
            there = running.status.st_dev, running.status.st_ino
            if mapped.link == "exe" and there != (mapped.device, mapped.inode):
                return None  # it has become another program since, so it is a new one
            if contents.build(running) is None:
                return None  # no ELF file: ORC and others keep what they compile in a scratch file
            if disk is None:
                return Reason(_MISSING[mapped.link == "exe"], path)
            with File(*disk[0]) as now:
                if contents.same(running, now):
                    return None
        return Reason(_REPLACED[mapped.link == "exe"], path)

    def _on_disk(self, path: str) -> tuple[str, tuple[_Place, os.stat_result] | None]:
        """The path without the kernel's mark, and what lies there.

        A file may really be called so: hence the path as it stands comes first.
        """
        texts = dict.fromkeys((path, path.removesuffix(_DELETED)))
        for root, directory in self._roots:
            for text in texts:
                try:
                    found = os.stat(root + text, dir_fd=directory)
                except OSError as error:
                    if error.errno not in _GONE:
                        raise
                else:
                    return text, ((root + text, directory), found)
        self.expect_alive()  # without it there is no root
        return path.removesuffix(_DELETED), None

    def _is(self, mapped: Mapped, disk: os.stat_result) -> bool:
        try:
            its = os.stat(mapped.link, dir_fd=self._proc)
        except PermissionError:
            # map_files is root's alone (CAP_CHECKPOINT_RESTORE); a user's own guests are told by
            # what the kernel prints, and only where that differs it cannot be told.
            if (mapped.device, mapped.inode) == (disk.st_dev, disk.st_ino):
                return True
            raise
        except FileNotFoundError:
            self.expect_alive()
            return True  # unmapped since
        if not stat.S_ISREG(its.st_mode):
            return True  # a device
        return (its.st_dev, its.st_ino) == (disk.st_dev, disk.st_ino)

    def expect_alive(self) -> None:
        """Raise ProcessLookupError when it has ended, or is about to: its code is gone first."""
        self.binary_path()


def running_by(path: str) -> Running | None:
    """The process that holds a pid file, None when nobody does.

    Raises SystemCallFailed, and OSError: PermissionError for a process of another PID namespace,
    and for one that this user must not look at.
    """
    with pid_file(path) as fd:
        if fd is None:
            return None
        pid = holder(fd)
        if pid is None:
            return None
        if not pid:
            raise PermissionError(errno.EPERM, "its process is in another PID namespace", path)
        try:
            proc = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            if holder(fd) != pid:  # it ended, and the number may be another process's by now
                os.close(proc)
                return None
            return Running(pid, os.fstat(fd).st_mtime_ns, proc)
        except BaseException:
            os.close(proc)
            raise
