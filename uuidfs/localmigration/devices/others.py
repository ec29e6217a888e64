"""Devices that cannot be in two QEMU processes at once, and what else keeps a guest here."""

from collections.abc import Iterator

from lxml import etree

from uuidfs.localmigration.domain_xml import found, label


def obstacles(domain: etree._Element) -> Iterator[str]:
    """Why the guest cannot move, each with the device's name."""
    for path, what in (
        ("hostdev", "a host device is passed through"),
        ("filesystem", "a directory of the host is mounted in the guest"),
        ("shmem", "shared memory of the host"),
        ("vsock", "its CID cannot be taken by two QEMU processes"),
        ("memory[@model='nvdimm']", "its file cannot be mapped by two QEMU processes"),
        ("memory[@model='virtio-pmem']", "its file cannot be mapped by two QEMU processes"),
        ("input[@type='passthrough']", "a device of the host"),
        ("input[@type='evdev']", "a device of the host"),
        ("smartcard[not(@mode='passthrough' and @type='spicevmc')]", "a device of the host"),
        ("redirdev[not(@type='spicevmc')]", "its backend cannot be in two places"),
        ("sound[@model='usb' or @model='virtio']", "QEMU cannot migrate it"),
        ("controller[@type='nvme']", "QEMU cannot migrate it"),
        ("video[model/acceleration/@accel3d='yes']", "QEMU cannot migrate 3D acceleration"),
        ("rng/backend[@model='egd']", "its backend cannot be in two places"),
    ):
        for device in found(domain, f"devices/{path}"):
            yield f"{label(device)}: {what}"
    if domain.find("launchSecurity") is not None:
        yield "launchSecurity: an encrypted guest cannot be moved by libvirt"
    for element in domain:
        name = etree.QName(element)
        if name.namespace and "libvirt.org/schemas/domain/qemu" in name.namespace:
            yield f"qemu:{name.localname}: QEMU's own options may clash with themselves"
