"""mount(2) by descriptors: no path is followed that anybody but root could have changed.

QEMU's user owns /var/lib/libvirt/qemu, and reaches the peer's through /proc/PID/root. Whoever
mounts there by a path can be led anywhere by a link, and then a library of the attacker's lies
where root looks for one.
"""

import ctypes
import os

from uuidfs.errors import Refused, SystemCallFailed

_BIND, _REC, _REMOUNT, _DETACH = 4096, 16384, 32, 2

_RDONLY = 1

_NOSUID, _NODEV, _NOEXEC = 2, 4, 8

_NOSYMFOLLOW = 256  # since Linux 5.10; an older kernel ignores it

_OPEN = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_LINKS = 40  # of them in one path, as the kernel's limit

_libc = ctypes.CDLL(None, use_errno=True)


def trusted(path: str, *, shared: bool = False) -> int:
    """Open a directory as O_PATH; raises Refused when others than root could put it there.

    Every directory above it has to be root's, and writable for nobody else. The last one may
    belong to anybody. ``shared``: a directory above may be writable for its group, as Ubuntu's
    /var/log is. A link in such a one is refused, so nobody is led out of it.
    """
    fd, at = os.open("/", _OPEN), "/"
    names = list(reversed(path.split("/")))
    links = 0
    while names:
        name = names.pop()
        if name in {"", "."}:
            continue
        found = os.fstat(fd)
        exclusive = found.st_uid in {0, os.geteuid()} and not found.st_mode & 0o022
        if not exclusive and not (shared and found.st_uid == 0 and not found.st_mode & 0o002):
            os.close(fd)
            raise Refused(at, "others than root may change names in this directory")
        link = _link(fd, name)
        if link is None:
            at = f"{at.rstrip('/')}/{name}"
            fd = _step(fd, name, at)
            continue
        links += 1
        if not exclusive or links > _LINKS:
            os.close(fd)
            raise Refused(f"{at.rstrip('/')}/{name}", "this link is not followed")
        names += reversed(link.split("/"))
        if link.startswith("/"):
            os.close(fd)
            fd, at = os.open("/", _OPEN), "/"
    return fd


def _link(fd: int, name: str) -> str | None:
    """What a link says; None for everything else."""
    try:
        return os.readlink(name, dir_fd=fd)
    except OSError:
        return None


def beside(parent: int, name: str, path: str) -> int | None:
    """Open a directory in one that is open, whoever owns that; None when there is none.

    A link there is not followed. Raises SystemCallFailed.
    """
    try:
        return os.open(name, _OPEN, dir_fd=parent)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SystemCallFailed("open", path, error) from error


def _step(fd: int, name: str, path: str) -> int:
    try:
        return os.open(name, _OPEN, dir_fd=fd)
    except OSError as error:
        raise SystemCallFailed("open", path, error) from error
    finally:
        os.close(fd)


def bind(source: int, target: int, what: str) -> None:
    """Mount what lies below one open directory over another. Raises SystemCallFailed."""
    _mount(_path(source), _path(target), None, _BIND | _REC, None, what)


def let_run(target: int, what: str) -> None:
    """Let programs be started from a mount: /run has noexec on Debian, and hooks are programs."""
    _mount(None, _path(target), None, _REMOUNT | _BIND | _NOSUID | _NODEV, None, what)


def read_only(target: int, what: str) -> None:
    """Let nobody write through a mount. Raises SystemCallFailed."""
    _mount(None, _path(target), None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV, None, what)


def small_tmpfs(target: int, owner: tuple[int, int], what: str) -> None:
    """A tmpfs for a few sockets, its owner's only, in which the kernel follows no link."""
    options = f"size=64k,nr_inodes=32,mode=0700,uid={owner[0]},gid={owner[1]}"
    flags = _NOSUID | _NODEV | _NOEXEC | _NOSYMFOLLOW
    _mount("uuidfs", _path(target), "tmpfs", flags, options, what)


def unmount(path: str) -> bool:
    """Take off what is mounted last at a path of root's; tells whether anything was."""
    return bool(_libc.umount2(os.fsencode(path), _DETACH) == 0)


def _path(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None, what: str
) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    data = None if options is None else options.encode()
    if _libc.mount(*words, ctypes.c_ulong(flags), data) != 0:
        code = ctypes.get_errno()
        raise SystemCallFailed("mount", what, OSError(code, os.strerror(code)))
