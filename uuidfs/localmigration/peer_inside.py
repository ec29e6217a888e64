"""What runs in the peer's mount namespace before its daemon does.

Started by peer_daemon as ``python -I -c ... first|again DIRECTORY SOCKET HOPS PROGRAM WORD...``.
All mounts are made once, before anything of QEMU's user runs in here, on directories that root
has just made; a daemon that is started again enters the namespace of the QEMU process that it
left, and mounts nothing.
"""

import os
import socket
import sys

from uuidfs.errors import UuidfsError
from uuidfs.localmigration import mounts

# Below the peer's directory -> what it lies over. /run/libvirt comes last: the host's sockets
# are under it.
OVER = {
    "lib": "/var/lib/libvirt/qemu",
    "etc": "/etc/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
    "run": "/run/libvirt",
}

# The same where the guest has an emulated TPM.
TPM, TPM_LOG = "swtpm", "swtpm-log"

FOR_TPM = {TPM: "/var/lib/libvirt/swtpm", TPM_LOG: "/var/log/swtpm"}

# Below libvirt's configuration, and read only in the peer: without them it could not open a disk.
SHARED = ("secrets",)

HOST = "host"  # the host's /run/libvirt

# The host's of what is covered, for files of consoles and their logs that lie there.
HOSTS = {HOST: OVER["run"]} | {f"host-{part}": OVER[part] for part in ("lib", "log", "cache")}

ANSWER = 5.0  # seconds for the host's daemon to take a connection


def main(argv: list[str]) -> None:
    """Make the namespace and become the daemon; exits with a line on stderr where it cannot."""
    word, directory, name, hops, *command = argv
    try:
        if word == "first":
            _cover(directory, hops)
        _is_ours(directory)
        _reaches(f"{directory}/{HOST}/{name}")
        os.execv(command[0], command)  # noqa: S606 - fixed words and our own directory
    except (UuidfsError, OSError) as error:
        sys.exit(f"uuidfs: {error}")


def _over(directory: str) -> dict[str, str]:
    for_tpm = FOR_TPM if os.path.lexists(f"{directory}/{TPM}") else {}
    return for_tpm | OVER


def _cover(directory: str, hops: str) -> None:
    over = _over(directory)
    opened = {part: mounts.trusted(f"{directory}/{part}") for part in (*over, *HOSTS)}
    covered = {part: mounts.trusted(path, shared=True) for part, path in over.items()}
    # NVRAM's path is in the domain's XML, below a directory that will be covered. The directory
    # above is QEMU's user's, so it is opened without following a link.
    nvram = mounts.beside(covered["lib"], "nvram", f"{OVER['lib']}/nvram")
    if nvram is not None:
        mounts.bind(nvram, mounts.trusted(f"{directory}/lib/nvram"), f"{OVER['lib']}/nvram")
    hooks = f"{directory}/etc/hooks"
    mounts.bind(mounts.trusted(hooks), mounts.trusted(hooks), hooks)
    mounts.let_run(mounts.trusted(hooks), hooks)
    for part in SHARED:
        path = f"{OVER['etc']}/{part}"
        if os.path.isdir(path):
            inside = f"{directory}/etc/{part}"
            mounts.bind(mounts.trusted(path), mounts.trusted(inside), path)
            mounts.read_only(mounts.trusted(inside), inside)
    for part, path in HOSTS.items():
        mounts.bind(mounts.trusted(path, shared=True), opened[part], path)
    inside = f"{directory}/run/{os.path.basename(hops)}"
    mounts.bind(mounts.trusted(hops), mounts.trusted(inside), hops)
    for part, path in over.items():
        mounts.bind(opened[part], covered[part], path)


def _is_ours(directory: str) -> None:
    """Whether this namespace is the peer's: else its daemon would be the host's second one."""
    for part, path in _over(directory).items():
        mine, there = os.stat(f"{directory}/{part}"), os.stat(path)
        if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
            raise UuidfsError(f"{path} is not the peer's in this namespace")


def _reaches(path: str) -> None:
    """The way home, tried before anything moves: the host's socket, as seen from in here."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER)
        try:
            fd = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # The path itself may be longer than a socket's address can be.
                probe.connect(f"/proc/self/fd/{fd}/{os.path.basename(path)}")
            finally:
                os.close(fd)
        except OSError as error:
            raise UuidfsError(
                f"the host's daemon cannot be reached from the peer at {path}: {error.strerror}"
            ) from error
