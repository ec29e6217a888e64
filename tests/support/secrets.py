"""Trees with what libvirt deletes with a domain: NVRAM, a managed save, a TPM's state."""

import os
from pathlib import Path

from tests.support.trees import QEMU_GID, QEMU_UID, Domain, Host, Tree, domain_xml, uuid_for

NAME = "web"

UUID = uuid_for(NAME)

WEB = Domain(NAME, UUID, autostart=True, snapshots=("s1", "s2"), checkpoints=("c1",))

SWTPM_UID = 64060

NVRAM = "/var/lib/libvirt/qemu/nvram/web_VARS.fd"


def with_secrets(xml: bytes, nvram: str = NVRAM) -> bytes:
    """The config of a domain with UEFI and a TPM."""
    xml = xml.replace(b"</os>", f"  <nvram>{nvram}</nvram>\n  </os>".encode())
    tpm = b"<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
    return xml.replace(b"</devices>", tpm + b"</devices>")


def furnish(tree: Tree) -> None:
    """Give the domain web all of it, as libvirt would."""
    host = tree.host
    host.config_of(NAME).write_bytes(with_secrets(domain_xml(NAME, UUID, "first")))
    for path, uid in ((nvram(host), QEMU_UID), (save(host), 0), (tpm(host), SWTPM_UID)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"the first {path.name}\n".encode())
        path.chmod(0o600)
        os.chown(path, uid, uid)
    for directory in (nvram(host).parent, save(host).parent):
        os.chown(directory, QEMU_UID, QEMU_GID)
    os.chown(tpm(host).parent, SWTPM_UID, SWTPM_UID)


def nvram(host: Host) -> Path:
    return host.lib / "nvram/web_VARS.fd"


def save(host: Host) -> Path:
    return host.lib / "save/web.save"


def tpm(host: Host) -> Path:
    return host.root / f"var/lib/libvirt/swtpm/{UUID}/tpm2/tpm2-00.permall"


def kept(host: Host, name: str = "") -> Path:
    return host.root / "var/lib/libvirt/by-uuid/kept" / UUID / name


def trashed(host: Host, name: str) -> list[Path]:
    labels = (host.root / "var/lib/libvirt/by-uuid/kept/trash").glob("*")
    return sorted(path for label in labels for path in label.iterdir() if path.name == name)


def undefine(host: Host, *, secrets: bool = True) -> None:
    """``virsh undefine --nvram --managed-save --snapshots-metadata --checkpoints-metadata``, in
    libvirt's order (9.0)."""
    if secrets:
        save(host).unlink(missing_ok=True)
    for top in (host.snapshot, host.checkpoint):
        for path in (top / NAME).glob("*"):
            path.unlink()
        if (top / NAME).exists():
            (top / NAME).rmdir()
    if secrets:
        nvram(host).unlink(missing_ok=True)
        tpm(host).unlink(missing_ok=True)
        if tpm(host).parent.exists():
            tpm(host).parent.rmdir()
            tpm(host).parent.parent.rmdir()
    (host.autostart / f"{NAME}.xml").unlink(missing_ok=True)
    host.config_of(NAME).unlink()
