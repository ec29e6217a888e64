"""Whether SELinux lets libvirt's daemon execute the hook.

libvirt runs a hook for which somebody may have no leave: it looks at the file's mode alone
(virFileIsExecutable; seen with 11.3), and a hook that cannot be executed fails the start of every
domain. The reference policy, which is Debian's, lets virtd_t execute nothing below /etc/libvirt.

The kernel is asked through selinuxfs, as libselinux does (security_compute_av(3) and
security_compute_create(3)), so no policy is read and no library is needed.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator

from uuidfs.host.libvirtd import DAEMONS, daemon_of
from uuidfs.layout.places import Layout

_XATTR = "security.selinux"
_PATH = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin"
_PERMISSIVE = 1  # flag of a decision: the policy lets this type do everything (avd_flags)
_HOOK = ("read", "open", "execute")


class Kernel:
    """The policy that the kernel has loaded. Its methods raise OSError."""

    def __init__(self, place: str = "/sys/fs/selinux") -> None:
        self._place = place

    def there(self) -> bool:
        """Whether SELinux is on; it may be permissive."""
        return os.path.exists(f"{self._place}/enforce")

    def created(self, source: str, target: str, kind: str) -> str:
        """The context of what ``source`` makes: a file in a directory, a process of a program."""
        return self._ask("create", f"{source} {target} {self._number(kind)}")

    def lets(self, source: str, target: str, kind: str, needed: Iterable[str]) -> bool:
        """Whether all of the permissions are given."""
        answer = self._ask("access", f"{source} {target} {self._number(kind)}").split()
        allowed, flags = int(answer[0], 16), int(answer[5], 16)
        bits = (self._number(kind, f"perms/{each}") for each in needed)
        return bool(flags & _PERMISSIVE) or all(allowed & 1 << bit - 1 for bit in bits)

    def _number(self, kind: str, what: str = "index") -> int:
        with open(f"{self._place}/class/{kind}/{what}", encoding="ascii") as file:
            return int(file.read())

    def _ask(self, file: str, question: str) -> str:
        fd = os.open(f"{self._place}/{file}", os.O_RDWR | os.O_CLOEXEC)
        try:
            os.write(fd, question.encode())
            return os.read(fd, 4096).decode().rstrip("\0\n")
        finally:
            os.close(fd)


def kept_from(layout: Layout, hook: str, kernel: Kernel | None = None) -> str | None:
    """The type of a daemon that may not execute ``hook``, a path; None when all may.

    The file need not be there yet: it gets the label that this process would give it. None, too,
    where SELinux is off, or does not answer: then nothing is known against the hook.
    """
    kernel = kernel or Kernel()
    if not layout.live or not kernel.there():
        return None
    with contextlib.suppress(OSError, ValueError, IndexError):
        label = _label_of(hook, kernel)
        for daemon in _daemons(layout, kernel):
            if not _may_execute(kernel, daemon, label):
                return daemon.split(":")[2]
    return None


def _may_execute(kernel: Kernel, daemon: str, label: str) -> bool:
    becomes = kernel.created(daemon, label, "process")
    if becomes == daemon:
        return kernel.lets(daemon, label, "file", (*_HOOK, "execute_no_trans"))
    return (
        kernel.lets(daemon, label, "file", _HOOK)
        and kernel.lets(daemon, becomes, "process", ("transition",))
        and kernel.lets(becomes, label, "file", ("entrypoint",))
    )


def _label_of(path: str, kernel: Kernel) -> str:
    with contextlib.suppress(FileNotFoundError):
        return _xattr(path)
    directory = os.path.dirname(path)
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return kernel.created(_process("self"), _xattr(directory), "file")


def _daemons(layout: Layout, kernel: Kernel) -> Iterator[str]:
    """The contexts of the daemon that runs, or of those that systemd would start."""
    running = daemon_of(layout)
    if running:
        yield _process(str(running[1]))
        return
    for program in filter(None, (shutil.which(name, path=_PATH) for name in DAEMONS)):
        yield kernel.created(_process("1"), _xattr(program), "process")


def _xattr(path: str) -> str:
    return os.getxattr(path, _XATTR).decode().rstrip("\0")


def _process(pid: str) -> str:
    with open(f"/proc/{pid}/attr/current", encoding="ascii") as file:
        return file.read().rstrip("\0\n")
