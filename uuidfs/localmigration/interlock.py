"""Whether a daemon really calls the hook: asked by a start that the hook has to refuse.

A hook that lies in its place is no proof. A daemon looks for hooks when it starts or reloads, and
another script in qemu.d may be what it calls.
"""

import contextlib
import os
import uuid as uuids
from typing import Any

from lxml import etree

from uuidfs.errors import UuidfsError
from uuidfs.files import change
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind, Layout
from uuidfs.localmigration import domain_xml
from uuidfs.localmigration.connection import LibvirtRefused, doing, module
from uuidfs.runtime import sessions


def refused_start(layout: Layout, host: Any, live: etree._Element) -> str | None:
    """Try to start a made-up domain that is said to be away; None when the hook refused it.

    Otherwise why a second copy of a guest could be started. The domain has no disk and little
    memory; should it start after all, it is paused, and is destroyed at once.
    """
    uuid, name = _made_up()
    probe = sessions.begin(layout, uuid, name, pid=os.getpid(), tool="test of the interlock")
    try:
        sessions.change(layout, probe, phase=sessions.PEER)
        why = _ask(host, _xml(live, name, uuid), sessions.path_of(layout, uuid))
        return f"{why}; run: systemctl reload libvirtd (or virtqemud)" if why else None
    finally:
        sessions.end(layout, probe)
        # libvirt notes in a log of that name that it did not start.
        with contextlib.suppress(UuidfsError), TrustedDirs(layout) as dirs:
            logs = dirs.names(Kind.LOG)
            if logs is not None:
                change.unlink(logs, f"{name}.log")


def _ask(host: Any, xml: str, path: str) -> str | None:
    libvirt = module()
    try:
        with doing("ask libvirt whether it calls the hook"):
            started = host.createXML(
                xml, libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
            )
    except LibvirtRefused as error:
        return None if path in str(error) else f"cannot tell whether the hook is called: {error}"
    with contextlib.suppress(libvirt.libvirtError):
        started.destroy()
    return "libvirt does not call the hook, so a second copy could be started meanwhile"


def check_peer(peer: Any, live: etree._Element, directory: str) -> None:
    """The same for the peer daemon, which calls its own hook: else what comes in stays as it is.

    Raises UuidfsError when it does not.
    """
    uuid, name = _made_up()
    if (why := _ask(peer, _xml(live, name, uuid), directory)) is not None:
        raise UuidfsError(f"the peer daemon is not as it should be: {why}")


def _made_up() -> tuple[str, str]:
    uuid = str(uuids.uuid4())
    return uuid, f"uuidfs-interlock-{uuid[:8]}"


def _xml(live: etree._Element, name: str, uuid: str) -> str:
    domain = etree.Element("domain", type=live.get("type") or "qemu")
    for tag, text in (("name", name), ("uuid", uuid), ("memory", "1024")):
        etree.SubElement(domain, tag).text = text
    kind = live.find("os/type")
    system = etree.SubElement(etree.SubElement(domain, "os"), "type")
    system.text = "hvm"
    if kind is not None:
        system.text = kind.text
        system.attrib.update(
            {k: str(v) for k, v in kind.attrib.items() if k in {"arch", "machine"}}
        )
    devices = etree.SubElement(domain, "devices")
    emulator = live.findtext("devices/emulator")
    if emulator:
        etree.SubElement(devices, "emulator").text = emulator
    if (kind.get("arch") if kind is not None else "") in {"x86_64", "i686"}:
        etree.SubElement(devices, "controller", type="usb", model="none")
        etree.SubElement(devices, "memballoon", model="none")
    return etree.tostring(domain, encoding="unicode")


def forget_token(domain: Any) -> None:
    """Take the session's token out of a running domain's XML, where it is."""
    libvirt = module()
    with contextlib.suppress(libvirt.libvirtError):
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            None,
            None,
            domain_xml.METADATA,
            libvirt.VIR_DOMAIN_AFFECT_LIVE,
        )
