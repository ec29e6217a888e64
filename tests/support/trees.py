"""Sample trees: a root directory as a libvirt host would have it (docs/libvirt-facts.md).

Nothing here knows uuidfs. Every file gets its own mode, mtime, xattr and, when root builds
the tree, owner, so that a copy or a swap of two files is seen.
"""

import contextlib
import os
import uuid as uuidlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

QEMU_UID, QEMU_GID = 64055, 64055  # Debian's libvirt-qemu; any number that is not root's does
_FIRST_MTIME = 1_700_000_000_123_456_789
_MODES = (0o600, 0o640, 0o644, 0o400)
_SPACE = uuidlib.UUID("6f1d3c5e-7a52-4c0c-9a53-0a8a4a1d9c11")
_NAME_MAX = 255


@dataclass(frozen=True)
class Host:
    """Where libvirt keeps things below ``root``."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "etc/libvirt/qemu"

    @property
    def autostart(self) -> Path:
        return self.config / "autostart"

    @property
    def log(self) -> Path:
        return self.root / "var/log/libvirt/qemu"

    @property
    def lib(self) -> Path:
        """Belongs to QEMU's user."""
        return self.root / "var/lib/libvirt/qemu"

    @property
    def snapshot(self) -> Path:
        return self.lib / "snapshot"

    @property
    def checkpoint(self) -> Path:
        return self.lib / "checkpoint"

    @property
    def status(self) -> Path:
        return self.root / "run/libvirt/qemu"

    def store(self, kind: str) -> Path:
        """uuidfs's directory for config, log, snapshot or checkpoint."""
        return {
            "config": self.config / "by-uuid",
            "log": self.log / "by-uuid",
            "snapshot": self.root / "var/lib/libvirt/by-uuid/snapshot",
            "checkpoint": self.root / "var/lib/libvirt/by-uuid/checkpoint",
        }[kind]

    def config_of(self, name: str) -> Path:
        return self.config / f"{name}.xml"

    def log_of(self, name: str, suffix: str = "") -> Path:
        return self.log / f"{name}.log{suffix}"


@dataclass(frozen=True)
class Domain:
    """One domain and the files it has. ``log_suffixes``: "" is the log that is written now."""

    name: str
    uuid: str
    transient: bool = False
    autostart: bool = False
    log_suffixes: tuple[str, ...] = ("", ".0", ".1")
    snapshots: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tree:
    """What was built: the host, and which name stands for which UUID."""

    host: Host
    domains: tuple[Domain, ...]

    @property
    def bindings(self) -> dict[str, str]:
        return {domain.name: domain.uuid for domain in self.domains}


def uuid_for(text: str) -> str:
    """The same text gives the same UUID in every run."""
    return str(uuidlib.uuid5(_SPACE, text))


def awkward_names() -> tuple[str, ...]:
    """Names that libvirt accepts and that break careless tools."""
    return (
        "two words",
        " lead",
        "tab\there",
        "new\nline",
        "-rf",
        ".hidden",
        "quo'te\"s",
        "100%s",
        "ünï-日本",
        "by-uuid",
        "web.xml",
        "web.log",
        "web",
        "web.log.0",
        "trash",
        "~link",
        uuid_for("web"),
        uuid_for("nobody"),
        "n" * 240,
        "é" * 120,
        "a&b<c>",
        "$(id)`id`\\n",
        "*",
    )


def sample(count: int = 3, names: Iterable[str] = ()) -> tuple[Domain, ...]:
    """``count`` plain domains, one per extra name, and a transient one; all kinds of files."""
    domains = [
        _sample_domain(index, name)
        for index, name in enumerate([*(f"vm{i:04d}" for i in range(count)), *names])
    ]
    return (*domains, Domain("passing", uuid_for("passing"), transient=True, log_suffixes=("",)))


def _sample_domain(index: int, name: str) -> Domain:
    logrotate = (".1.gz", "-20260101") if index % 2 else ()
    return Domain(
        name,
        uuid_for(name),
        autostart=index % 2 == 0,
        log_suffixes=("", ".0", ".1", *logrotate),
        snapshots=("base", "before upgrade")[: 2 - index % 2],
        checkpoints=("chk1",) if index % 3 == 0 else (),
    )


def domain_xml(name: str, uuid: str, note: str = "") -> bytes:
    """A config as libvirt writes it; ``note`` becomes the description."""
    return (
        "<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE\n"
        "OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:\n"
        f"  virsh edit {escape(name).replace('--', '- -')}\n"
        "or other application using the libvirt API.\n-->\n\n" + _element(name, uuid, note)
    ).encode()


def status_xml(name: str, uuid: str) -> bytes:
    """A running domain's status file."""
    head = "<domstatus state='running' reason='booted' pid='4711'>\n  <taint flag='x'/>\n"
    return (head + _element(name, uuid, "live") + "</domstatus>\n").encode()


def snapshot_xml(snap: str, name: str, uuid: str, root: str = "domainsnapshot") -> bytes:
    """Snapshot (or checkpoint) metadata: its own name first, the domain embedded."""
    return (
        f"<{root}>\n  <name>{escape(snap)}</name>\n  <state>shutoff</state>\n"
        f"  <creationTime>1700000000</creationTime>\n{_element(name, uuid, snap)}</{root}>\n"
    ).encode()


def _element(name: str, uuid: str, note: str) -> str:
    disks = "".join(
        f"    <disk type='file' device='disk'>\n      <driver name='qemu' type='qcow2'/>\n"
        f"      <source file='/var/lib/libvirt/images/{uuid}-{letter}.qcow2'/>\n"
        f"      <target dev='vd{letter}' bus='virtio'/>\n"
        f"      <address type='pci' domain='0x0000' bus='0x0{number}' slot='0x00'"
        f" function='0x0'/>\n    </disk>\n"
        for number, letter in enumerate("abcdef", 1)
    )
    return (
        f"<domain type='kvm'>\n  <name>{escape(name)}</name>\n  <uuid>{uuid}</uuid>\n"
        f"  <description>{escape(note)}</description>\n"
        "  <memory unit='KiB'>4194304</memory>\n  <vcpu placement='static'>2</vcpu>\n"
        "  <os>\n    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>\n  </os>\n"
        "  <features>\n    <acpi/>\n    <apic/>\n  </features>\n  <clock offset='utc'/>\n"
        "  <on_poweroff>destroy</on_poweroff>\n  <on_reboot>restart</on_reboot>\n"
        "  <devices>\n    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n"
        f"{disks}    <controller type='usb' index='0' model='qemu-xhci' ports='15'/>\n"
        "    <interface type='network'>\n      <mac address='52:54:00:aa:bb:cc'/>\n"
        "      <source network='default'/>\n      <model type='virtio'/>\n    </interface>\n"
        "    <serial type='pty'/>\n    <console type='pty'/>\n    <memballoon model='virtio'/>\n"
        "  </devices>\n</domain>\n"
    )


@dataclass
class _Writer:
    """Writes files, each with attributes of its own."""

    root_uid: bool = field(default_factory=lambda: os.geteuid() == 0)
    count: int = 0

    def write(self, path: Path, data: bytes, owner: int = 0) -> None:
        path.write_bytes(data)
        self.count += 1
        with contextlib.suppress(OSError):  # a file system without user xattrs
            os.setxattr(path, "user.uuidfs-test", f"file {self.count}".encode())
        if self.root_uid and owner:
            os.chown(path, owner, owner)
        path.chmod(_MODES[self.count % len(_MODES)])
        stamp = _FIRST_MTIME + self.count * 1_000_000_007
        os.utime(path, ns=(stamp, stamp))


def build(root: Path, domains: Iterable[Domain]) -> Tree:
    """Write the domains' files below ``root``, a foreign log and some other files of libvirt."""
    tree = Tree(Host(root), tuple(domains))
    host, writer = tree.host, _Writer()
    for directory in (
        host.config,
        host.autostart,
        host.log,
        host.snapshot,
        host.checkpoint,
        host.status,
        host.config / "networks",
        host.lib / "save",
    ):
        directory.mkdir(parents=True, exist_ok=True)
    host.config.chmod(0o700)
    if writer.root_uid:
        for directory in (host.lib, host.snapshot, host.checkpoint):
            os.chown(directory, QEMU_UID, QEMU_GID)
    for number, domain in enumerate(tree.domains):
        _build_domain(host, writer, domain, number)
    writer.write(host.config / "networks/default.xml", b"<network><name>default</name></network>")
    writer.write(host.log_of("gone"), b"a log whose domain was undefined long ago\n")
    writer.write(host.lib / "save/vm0000.save", b"LibvirtQemudSave")
    return tree


def _build_domain(host: Host, writer: _Writer, domain: Domain, number: int) -> None:
    name, uuid = domain.name, domain.uuid
    if domain.transient:
        writer.write(host.status / f"{name}.xml", status_xml(name, uuid))
    else:
        writer.write(host.config_of(name), domain_xml(name, uuid, "first"))
    if domain.autostart:
        # Absolute in libvirt; relative here, so that the tree can be copied.
        (host.autostart / f"{name}.xml").symlink_to(f"../{name}.xml")
    for suffix in domain.log_suffixes:
        path = host.log_of(name, suffix)
        if len(os.fsencode(path.name)) <= _NAME_MAX:
            owner = QEMU_UID if number % 2 else 0
            writer.write(path, f"{uuid} wrote log{suffix}\n".encode() * 20, owner)
    for directory, root, objects in (
        (host.snapshot, "domainsnapshot", domain.snapshots),
        (host.checkpoint, "domaincheckpoint", domain.checkpoints),
    ):
        for each in objects:
            (directory / name).mkdir(mode=0o755, exist_ok=True)
            data = snapshot_xml(each, name, uuid, root)
            writer.write(directory / name / f"{each}.xml", data)


def name_paths(host: Host) -> Iterator[str]:
    """Every path by which libvirt or a person reaches a domain's file, relative to the root."""
    root = os.fspath(host.root)
    for directory in (host.config, host.autostart, host.log, host.status):
        for entry in sorted(os.listdir(directory)):
            path = directory / entry
            if entry != "by-uuid" and not (path.is_dir() and not path.is_symlink()):
                yield os.path.relpath(path, root)
    for top in (host.snapshot, host.checkpoint):
        for name in sorted(os.listdir(top)):
            if (top / name).is_dir() and not (top / name).is_symlink():
                for entry in sorted(os.listdir(top / name)):
                    yield os.path.relpath(top / name / entry, root)
