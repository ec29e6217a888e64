"""Looks at what of the host a domain's devices hang on; :mod:`.devices.facts` says what."""

import os

from lxml import etree

from uuidfs.files.directory import opened
from uuidfs.layout.places import Place
from uuidfs.localmigration import shares
from uuidfs.localmigration.devices import filters
from uuidfs.localmigration.devices.facts import HostFacts, Link

LINKS = "/sys/class/net"  # sysfs(5); of the network namespace that it was mounted in

FILTERS = "/etc/libvirt/nwfilter"

STATUS = "/run/libvirt/qemu"

_SIZE = 1 << 20  # bytes of one filter


def look(
    live: etree._Element,
    *,
    modular: bool,
    links: str = LINKS,
    filters_in: str = FILTERS,
    status: str = STATUS,
    since: int = 0,
) -> HostFacts:
    """What is to be known of the host for a domain. Raises UuidfsError or OSError.

    ``modular``: the guest's daemon is virtqemud, which has no network filters itself.
    ``status``: where that daemon keeps its pid files; ``since``: when it was started, in clock
    ticks after boot.
    """
    taps = (
        target.get("dev") for target in live.iterfind("devices/interface[@type='ethernet']/target")
    )
    known: dict[str, bool] | None = {}
    if modular:
        known = None
    elif live.find("devices/interface/filterref") is not None:
        known = filters.needing_address(
            text.decode(errors="surrogateescape") for text in filter_files(filters_in).values()
        )
    return HostFacts(
        {name: _link(f"{links}/{name}") for name in taps if name},
        known,
        shares.look(live, status, since),
    )


def filter_files(directory: str = FILTERS) -> dict[str, bytes]:
    """libvirt's network filters, by the names of their files: all that its daemon would load."""
    source = opened(Place(directory))
    if source is None:
        return {}
    with source:
        found = {name: source.read(name, _SIZE) for name in source.list() if name.endswith(".xml")}
    return {name: text for name, text in found.items() if text is not None}


def _link(path: str) -> Link:
    master = f"{path}/master"
    if not os.path.isdir(f"{master}/bridge"):
        return Link()
    return Link(
        os.path.basename(os.readlink(master)),
        vlans=_says_yes(f"{master}/bridge/vlan_filtering"),
        isolated=_says_yes(f"{path}/brport/isolated"),
    )


def _says_yes(path: str) -> bool:
    try:
        with open(path) as file:
            return file.read().strip() == "1"
    except FileNotFoundError:
        return False
