"""UEFI domains for the tests on firmware: defined, started, and with variables of their own."""

from pathlib import Path

from tests.live.private_host import PrivateHost

NVRAM = "/var/lib/libvirt/qemu/nvram"
CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
TEMPLATE = "/usr/share/OVMF/OVMF_VARS_4M.fd"
GIVEN = f"<loader readonly='yes' type='pflash'>{CODE}</loader><nvram template='{TEMPLATE}'/>"


def uuid(number: int) -> str:
    """The UUID of a test's domain."""
    return f"{number:08d}-aaaa-4bbb-8ccc-dddddddddddd"


def domain(name: str, number: int, *, chosen: bool = False, given: str = GIVEN) -> str:
    """A definition without a path of its own; ``chosen``: libvirt chooses the firmware, too."""
    system = "<os firmware='efi'>" if chosen else "<os>"
    return (
        f"<domain type='qemu'><name>{name}</name><uuid>{uuid(number)}</uuid>"
        "<memory unit='MiB'>32</memory>"
        f"{system}<type arch='x86_64' machine='q35'>hvm</type>{'' if chosen else given}</os>"
        "<features><acpi/></features><devices><controller type='usb' model='none'/>"
        "<memballoon model='none'/><disk type='file'><driver name='qemu' type='qcow2'/>"
        f"<source file='/var/lib/libvirt/images/{number}.qcow2'/><target dev='vda'/></disk>"
        "</devices></domain>"
    )


def define(
    host: PrivateHost, name: str, number: int, *, chosen: bool = False, text: str = ""
) -> None:
    """Define it, or ``text``; libvirt makes the file at the first start."""
    disk = f"/var/lib/libvirt/images/{number}.qcow2"
    if not host.path(disk).exists():
        host.run("qemu-img", "create", "-q", "-f", "qcow2", disk, "1M").ok()
        host.run("chmod", "666", disk).ok()
    host.path("/run/domain.xml").write_text(text or domain(name, number, chosen=chosen))
    host.virsh("define", "/run/domain.xml").ok()


def write(host: PrivateHost, name: str, text: str) -> None:
    """Have a domain that is off a file that can be told from all others."""
    path = host.path(path_of(host, name))
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(len(data) - len(text))
        file.write(text.encode())


def says(host: PrivateHost, name: str) -> str:
    """The text that ``write`` has left in the domain's file; "" in one from the template."""
    tail = host.path(path_of(host, name)).read_bytes()[-8:]
    return tail.strip(b"\xff\0").decode("ascii", "replace")


def path_of(host: PrivateHost, name: str) -> str:
    """The path that libvirt uses for the domain now; at home a domain that is off has one, or the
    one that libvirt would make of its name."""
    text = host.virsh("dumpxml", name).ok().out
    if "</nvram>" not in text:
        return f"{NVRAM}/{name}_VARS.fd"
    path = text.partition("</nvram>")[0].rpartition(">")[2].strip()
    return path or text.partition("</nvram>")[0].rpartition("file='")[2].partition("'")[0]


def run(host: PrivateHost, name: str) -> None:
    """Start it and end it at once: libvirt has made the file."""
    host.virsh("start", name).ok()
    host.virsh("destroy", name).ok()


def files(host: PrivateHost) -> list[str]:
    """What is in libvirt's directory."""
    return sorted(path.name for path in Path(host.path(NVRAM)).iterdir())
