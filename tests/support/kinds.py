"""What kinds of devices a domain has, in words: the unit in which "this moves" is claimed.

A kind is a facet of a device, as "disk device=cdrom bus=sata" or "interface type=bridge": the
attributes that choose other code in libvirt or QEMU. Of the domain itself it is the machine, the
firmware, and where its memory comes from.
"""

from collections.abc import Iterator

from lxml import etree

# Tag -> facets; each facet is what is read together. "@a" and "b/@a" are attributes, "b" says
# whether there is such an element. A tag that is not here has @type and @model for one facet.
_FACETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "disk": (
        ("@type",),
        ("@device", "target/@bus"),
        ("driver/@type",),
        ("source/@protocol",),
        (".//auth",),
        (".//encryption",),
        ("shareable",),
        ("transient",),
    ),
    "controller": (("@type", "@model"),),
    "interface": (
        ("@type",),
        ("model/@type",),
        ("backend/@type",),
        ("@type", "source/@mode"),
        ("virtualport/@type",),
        ("filterref",),
    ),
    "serial": (("@type",), ("protocol/@type",), ("log",)),
    "parallel": (("@type",), ("log",)),
    "console": (("@type",), ("target/@type",), ("log",)),
    "channel": (("@type",), ("target/@type",), ("log",)),
    "graphics": (("@type",),),
    "video": (("model/@type",),),
    "input": (("@type", "@bus", "@model"),),
    "tpm": (("@model",), ("backend/@type", "backend/@version"), ("backend/encryption",)),
    "rng": (("@model",), ("backend/@model", "backend/@type")),
    "filesystem": (("@type",), ("driver/@type",), ("driver/@type", "@accessmode")),
    "redirdev": (("@bus", "@type"),),
    "smartcard": (("@mode", "@type"),),
    "hostdev": (("@mode", "@type"),),
    "shmem": (("model/@type",),),
}

# What libvirt takes where nothing is said; a running guest's XML says it.
_DEFAULTS = {
    "disk @type": "file",
    "disk @device": "disk",
    "disk driver/@type": "raw",
    "interface model/@type": "rtl8139",
    "console target/@type": "serial",
    "tpm @model": "tpm-tis",
    "tpm backend/@version": "2.0",
    "filesystem @type": "mount",
    "filesystem driver/@type": "path",
}
ARCHITECTURE = "architecture "

"""Begins the kind that says which one it is, where that is none of a PC."""

# On a PC: other architectures have others.
PC = frozenset({"x86_64", "i686"})
_CONTROLLERS = {"usb": "piix3-uhci", "scsi": "lsilogic"}
_PANICS = {"ppc64": "pseries", "ppc64le": "pseries", "s390x": "s390", "aarch64": "pvpanic"}
_BUSES = {"tablet": "usb", "mouse": "ps2", "keyboard": "ps2"}

# Elements below <devices> that are no devices.
_NOT = frozenset({"emulator", "redirfilter"})


def kinds(domain: etree._Element) -> frozenset[str]:
    """The kinds of everything that a domain has."""
    found = set(_of_the_domain(domain))
    for device in domain.iterfind("devices/*"):
        if isinstance(device.tag, str) and device.tag not in _NOT:
            found |= _of_a_device(device)
    return frozenset(found)


def _of_a_device(device: etree._Element) -> set[str]:
    tag = str(device.tag)
    found = set()
    for facet in _FACETS.get(tag, (("@type", "@model"),)):
        words = [word for path in facet if (word := _word(device, path))]
        if words:
            found.add(" ".join([tag, *words]))
    return found or {tag}


def _word(device: etree._Element, path: str) -> str | None:
    place, at, attribute = path.rpartition("@")
    if not at:
        return path.rpartition("/")[2] if device.find(path) is not None else None
    element = device.find(place.rstrip("/") or ".")
    value = element.get(attribute) if element is not None else None
    value = value or _default(device, path)
    name = place.rstrip("/") if place and attribute in {"type", "model"} else attribute
    return f"{name}={value}" if value else None


def _default(device: etree._Element, path: str) -> str | None:
    kind = device.get("type", "")
    match device.tag, path:
        case "controller", "@model":
            return _CONTROLLERS.get(kind) if _is_pc(device) else None
        case "input", "@bus":
            return _BUSES.get(kind) if _is_pc(device) else None
        case "panic", "@model":
            return "isa" if _is_pc(device) else _PANICS.get(_arch(device))
    return _DEFAULTS.get(f"{device.tag} {path}")


def _arch(device: etree._Element) -> str:
    return next((arch(domain) for domain in device.iterancestors("domain")), "")


def _is_pc(device: etree._Element) -> bool:
    return _arch(device) in PC


def _of_the_domain(domain: etree._Element) -> Iterator[str]:
    kind, os = domain.find("os/type"), domain.find("os")
    if kind is not None and arch(domain) in PC:
        yield "machine q35" if "q35" in kind.get("machine", "") else "machine pc"
    elif kind is not None:
        yield f"{ARCHITECTURE}{arch(domain)}"
    loader = domain.find("os/loader")
    flash = loader is not None and loader.get("type") == "pflash"
    if flash or (os is not None and os.get("firmware") == "efi"):
        yield "firmware efi"
    if domain.xpath(
        "os/loader[@secure='yes'] | os/firmware/feature[@name='secure-boot'][@enabled='yes']"
    ):
        yield "firmware efi, secure boot"
    if domain.find("os/kernel") is not None:
        yield "firmware kernel"
    source = domain.find("memoryBacking/source")
    if source is not None:
        yield f"memory from {source.get('type')}"
    if domain.find("memoryBacking/hugepages") is not None:
        yield "memory from huge pages"


def arch(domain: etree._Element) -> str:
    """The guest's architecture."""
    kind = domain.find("os/type")
    return kind.get("arch", "") if kind is not None else ""
