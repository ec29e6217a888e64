"""Devices that cannot be in two QEMU processes at once, and what else keeps a guest here."""

from collections.abc import Iterator

from lxml import etree

from uuidfs.localmigration.domain_xml import found, label

_MAPPED = "its file is mapped by both processes, and the hop would write old pages over new ones"


def obstacles(domain: etree._Element) -> Iterator[str]:
    """Why the guest cannot move, each with the device's name."""
    for path, what in (
        ("hostdev", "a host device is passed through"),
        ("shmem", "memory shared with others, over which the hop would write what it was before"),
        ("memory[@model='nvdimm']", _MAPPED),
        ("memory[@model='virtio-pmem']", _MAPPED),
        ("pstore", _MAPPED),
        ("input[@type='passthrough']", "a device of the host"),
        ("input[@type='evdev']", "a device of the host"),
        ("smartcard[not(@mode='passthrough' and @type='spicevmc')]", "a device of the host"),
        ("redirdev[not(@type='spicevmc')]", "its backend cannot be in two places"),
        ("sound[@model='usb' or @model='virtio']", "QEMU cannot migrate it"),
        ("controller[@type='nvme']", "QEMU cannot migrate it"),
        ("video[model/acceleration/@accel3d='yes']", "QEMU cannot migrate 3D acceleration"),
    ):
        for device in found(domain, f"devices/{path}"):
            yield f"{label(device)}: {what}"
    if domain.find("launchSecurity") is not None:
        yield "launchSecurity: an encrypted guest cannot be moved by libvirt"
    for element in domain:
        name = etree.QName(element)
        if name.namespace and "libvirt.org/schemas/domain/qemu" in name.namespace:
            yield f"qemu:{name.localname}: QEMU's own options may clash with themselves"


def to_peer(domain: etree._Element) -> None:
    """Random numbers of the host's in place of those of an EGD, which may know one client; and a
    CID that is free, since the kernel gives each to one process."""
    for cid in domain.iterfind("devices/vsock/cid"):
        cid.attrib.clear()
        cid.set("auto", "yes")
    for rng in domain.iterfind("devices/rng"):
        for backend in rng.findall("backend[@model='egd']"):
            rng.replace(backend, _host_random())


def _host_random() -> etree._Element:
    backend = etree.Element("backend", model="random")
    backend.text = "/dev/urandom"
    return backend
