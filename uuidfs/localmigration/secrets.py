"""The secrets that a guest needs: the peer's daemon reads what is on disk, and no more."""

from typing import Any

from lxml import etree

from uuidfs.localmigration.connection import module
from uuidfs.localmigration.domain_xml import found

MONOLITHIC = "libvirtd"


def unknown_to_a_peer(host: Any, live: etree._Element, daemon: str) -> list[str]:
    """Reasons: secrets of disks and TPMs that only the host's ``daemon`` has, or can ask for.

    libvirt keeps a secret in /etc/libvirt/secrets unless its definition says ephemeral, and a
    second libvirtd reads them there. virtqemud asks virtsecretd, whose socket no peer has.
    """
    libvirt = module()
    reasons = []
    uuids = sorted(set(found(live, "devices//secret/@uuid|devices//encryption/@secret")))
    if daemon != MONOLITHIC:
        return [f"secret {uuid}: a peer of {daemon} cannot ask for it" for uuid in uuids]
    for uuid in uuids:
        try:
            secret = host.secretLookupByUUIDString(uuid)
            if etree.fromstring(secret.XMLDesc()).get("ephemeral") == "yes":
                reasons.append(
                    f"secret {uuid}: it is ephemeral, so only the host's daemon knows it"
                )
        except libvirt.libvirtError as error:
            reasons.append(f"secret {uuid}: {' '.join(str(error).split())}")
    return reasons
