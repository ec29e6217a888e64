"""The secrets that a guest needs: the peer's daemon reads what is on disk, and no more."""

from typing import Any

from lxml import etree

from uuidfs.localmigration.connection import module
from uuidfs.localmigration.domain_xml import found


def unknown_to_a_peer(host: Any, live: etree._Element) -> list[str]:
    """Reasons: secrets of disks and TPMs that the host's daemon has in memory only.

    libvirt keeps a secret in /etc/libvirt/secrets unless its definition says ephemeral.
    """
    libvirt = module()
    reasons = []
    for uuid in sorted(set(found(live, "devices//secret/@uuid|devices//encryption/@secret"))):
        try:
            secret = host.secretLookupByUUIDString(uuid)
            if etree.fromstring(secret.XMLDesc()).get("ephemeral") == "yes":
                reasons.append(
                    f"secret {uuid}: it is ephemeral, so only the host's daemon knows it"
                )
        except libvirt.libvirtError as error:
            reasons.append(f"secret {uuid}: {' '.join(str(error).split())}")
    return reasons
