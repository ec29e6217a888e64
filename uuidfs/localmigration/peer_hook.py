"""The peer's own qemu hook: what comes in is changed into what can live beside the host's.

libvirt gives the ``migrate`` hook the domain's XML on stdin and takes what it prints in its
place. That XML is what the source's daemon took under the migration's job, so a disk that was
exchanged a moment before (an external snapshot) is the right one here. The hook keeps the XML
for the way home from the same text.
"""

import os
import stat
import sys

from uuidfs.errors import UuidfsError
from uuidfs.files.directory import existing, opened
from uuidfs.files.small import write_whole
from uuidfs.layout.places import Place

HOME_XML = "home.xml"

LIVE_XML = "live.xml"

FACTS = "facts.json"

EMULATOR = "emulator"

NAME = "name"


def main(argv: list[str]) -> int:
    """``argv``: the peer's directory, the operation, and for ``start`` QEMU's user and group.

    The XML comes on stdin. Returns the exit code: anything but 0 makes libvirt give up, and the
    guest stays where it is.
    """
    directory, operation, *owner = argv
    try:
        if operation == "start":
            _give_sockets(*map(int, owner))
            _look_at_shares(directory)
        else:
            sys.stdout.write(_changed(directory, sys.stdin.read()))
    except (UuidfsError, OSError, ValueError) as error:
        sys.stderr.write(f"uuidfs: {error}\n")
        return 1
    return 0


def _changed(directory: str, migratable: str) -> str:
    from uuidfs.localmigration import devices, domain_xml, peer_inside
    from uuidfs.localmigration.devices import facts

    with existing(Place(directory)) as kept:
        live = kept.read(LIVE_XML, 1 << 24)
        known = kept.read(FACTS, 1 << 24)
        emulator = (kept.read(EMULATOR, 1 << 12) or b"").decode() or None
        if live is None or known is None:
            raise UuidfsError(f"{directory}/{LIVE_XML} or {FACTS} is missing")
        before, host = domain_xml.parse(live.decode()), facts.from_text(known.decode())
        if reasons := devices.obstacles_meanwhile(domain_xml.parse(migratable), before, host):
            raise UuidfsError(f"it cannot move any more: {'; '.join(reasons)}")
        elsewhere = {path: f"{directory}/{part}" for part, path in peer_inside.HOSTS.items()}
        changed = devices.in_peer(migratable, before, emulator, host, elsewhere)
        home = devices.at_home(migratable, emulator, host).encode()
        # Passwords of VNC and SPICE are in it.
        write_whole(kept, HOME_XML, home, mode=0o600)
    return changed


def _look_at_shares(directory: str) -> None:
    """Every virtiofsd of the peer can hand the guest's files over, on the way home.

    libvirt calls ``start`` after it has started them, and before QEMU (11.3).
    """
    from uuidfs.localmigration import domain_xml, look_at_host, shares

    with existing(Place(directory)) as kept:
        live = kept.read(LIVE_XML, 1 << 24)
    if live is None:
        raise UuidfsError(f"{directory}/{LIVE_XML} is missing")
    why = shares.unsafe_in_peer(domain_xml.parse(live.decode()), look_at_host.STATUS)
    if why is not None:
        raise UuidfsError(f"in the peer: {why}")


def _give_sockets(uid: int, gid: int) -> None:
    """Let QEMU connect to its swtpm, which has made the socket and is another user.

    libvirt calls ``start`` between the two (9.0). Its own chown is part of dynamic_ownership, which
    would also take the disks from a guest that has gone home. QEMU's user owns this directory, so
    nothing is followed, and nothing of root's is given away.
    """
    directory = opened(Place("/run/libvirt", ("qemu", "swtpm")))
    if directory is None:
        return
    with directory:
        for name in directory.list():
            try:
                fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory.fd)
            except FileNotFoundError:
                continue
            found = os.fstat(fd)
            if stat.S_ISSOCK(found.st_mode) and found.st_uid != 0:
                os.chown(f"/proc/self/fd/{fd}", uid, gid)
            os.close(fd)
