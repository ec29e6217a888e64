"""The daemon that runs this host's QEMU driver: libvirtd, or virtqemud on modular hosts.

The peer is a second one of the same program, and the way home leads to its socket.
"""

import os
import shutil
from typing import NamedTuple

from uuidfs.errors import UuidfsError
from uuidfs.host.libvirtd import DAEMONS, daemon_of
from uuidfs.layout.places import Layout
from uuidfs.runtime.owners import started_at

_SOCKETS = {"libvirtd": "libvirt-sock", "virtqemud": "virtqemud-sock"}

_PATH = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin"


class HostDaemon(NamedTuple):
    """Its name, the program to start the peer with, and its socket's name below /run/libvirt.

    ``since``: when it was started, in clock ticks after boot.
    """

    name: str
    program: str
    socket: str
    since: int = 0


def host_daemon(layout: Layout) -> HostDaemon:
    """Look who it is. Raises UuidfsError when no daemon runs, or its program is gone."""
    found = daemon_of(layout)
    if found is None:
        raise UuidfsError(f"none of {' and '.join(DAEMONS)} runs here, by their pid files")
    name, pid = found
    try:
        program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        program = ""
    # After an update the new one is at the same path.
    if not os.access(program, os.X_OK):
        program = shutil.which(name, path=_PATH) or ""
    if not program:
        raise UuidfsError(f"the program of {name} (process {pid}) cannot be found")
    return HostDaemon(name, program, _SOCKETS[name], started_at(pid) or 0)
