"""What a peer daemon that was killed has to be told of shared directories when it starts again.

libvirt (11.3) asks a virtiofsd what it can when it starts it, and keeps the answer in memory
only: a daemon that was started again refuses to migrate, "migration with this virtiofs device is
not supported", and the guest could not come home. Of a virtiofsd that somebody else has started
libvirt asks nothing. So that is what the status XML of the peer says from then on: each directory
is served at a socket. The process is the same, QEMU is connected to it, and it ends with it.

The way home is by XML of its own (peer_hook.HOME_XML), in which libvirt starts them as ever.
"""

from lxml import etree

from uuidfs.files.directory import opened
from uuidfs.files.small import write_whole
from uuidfs.layout.places import Place
from uuidfs.localmigration.devices import filesystems
from uuidfs.localmigration.domain_xml import parse

_SIZE = 1 << 24  # bytes of a status XML


def let_move(status: str, name: str) -> None:
    """Change a status XML of libvirt's; the daemon must not run. Raises UuidfsError or OSError.

    ``status``: the peer's directory of them; ``name``: the guest's there. Nothing is done where
    there is none, or no directory of virtiofs.
    """
    directory = opened(Place(status))
    if directory is None:
        return
    with directory:
        file = f"{name}.xml"
        text = directory.read(file, _SIZE)
        if text is None:
            return
        changed = served_at_sockets(text.decode(errors="surrogateescape"))
        if changed is not None:
            write_whole(directory, file, changed.encode(), mode=0o600)


def served_at_sockets(text: str) -> str | None:
    """A status XML with a socket in place of each directory; None when there is none to change."""
    document = parse(text)
    domain = document.find("domain")
    changed = False
    for device in filesystems.shared(domain) if domain is not None else ():
        source, binary = device.find("source"), device.find("binary")
        if source is None or source.get("dir") is None:
            continue
        # libvirt only remembers it: QEMU is connected already.
        source.attrib.clear()
        source.set("socket", f"/var/lib/libvirt/qemu/{filesystems.alias(device)}-fs.sock")
        if binary is not None:
            device.remove(binary)
        changed = True
    return etree.tostring(document, encoding="unicode") if changed else None
