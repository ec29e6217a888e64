"""Trees to measure with: a root directory as a libvirt host of many plain domains has it.

Per domain a config of about 3 KB, a log with the rotations .0, .1 and .2, and three snapshots
whose files embed the domain, as libvirt writes them. Nothing here knows uuidfs.
"""

import os
import uuid as uuidlib
from pathlib import Path

CONFIGS = "etc/libvirt/qemu"
LOGS = "var/log/libvirt/qemu"
SNAPSHOTS = "var/lib/libvirt/qemu/snapshot"
CHECKPOINTS = "var/lib/libvirt/qemu/checkpoint"
DIRECTORIES = (CONFIGS, f"{CONFIGS}/autostart", LOGS, SNAPSHOTS, CHECKPOINTS, "run/libvirt/qemu")
SUFFIXES = (".log", ".log.0", ".log.1", ".log.2")
SNAPSHOT_NAMES = ("before-upgrade", "1700000000", "nightly")
FILES_PER_DOMAIN = 1 + len(SUFFIXES) + len(SNAPSHOT_NAMES)

_SPACE = uuidlib.UUID("0b1e7c52-51a5-4e3c-8f0e-1f5f5ab0c0de")
_WARNING = """<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh {command}
or other application using the libvirt API.
-->

"""
_DISK = """    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap'/>
      <source file='/var/lib/libvirt/images/{name}-{disk}.qcow2'/>
      <target dev='{disk}' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x0{bus}' slot='0x00' function='0x0'/>
    </disk>
"""
_PORT = """    <controller type='pci' index='{index}' model='pcie-root-port'>
      <model name='pcie-root-port'/>
      <target chassis='{index}' port='0x1{index}'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x{index}'/>
    </controller>
"""
_DOMAIN = """<domain type='kvm'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features>
    <acpi/>
    <apic/>
  </features>
  <cpu mode='host-passthrough' check='none' migratable='on'/>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
{disks}{ports}    <interface type='network'>
      <mac address='52:54:00:{mac}'/>
      <source network='default'/>
      <model type='virtio'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </interface>
    <serial type='pty'>
      <target type='isa-serial' port='0'>
        <model name='isa-serial'/>
      </target>
    </serial>
    <console type='pty'>
      <target type='serial' port='0'/>
    </console>
    <memballoon model='virtio'>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </memballoon>
  </devices>
</domain>
"""
_SNAPSHOT = """<domainsnapshot>
  <name>{snapshot}</name>
  <state>shutoff</state>
  <creationTime>1700000000</creationTime>
  <memory snapshot='no'/>
  <disks>
    <disk name='vda' snapshot='internal'/>
    <disk name='vdb' snapshot='internal'/>
  </disks>
{domain}  <active>0</active>
</domainsnapshot>
"""


def name_of(index: int) -> str:
    """The name of a tree's domain number ``index``."""
    return f"vm{index:05d}"


def uuid_of(name: str) -> str:
    """The same name has the same UUID in every tree."""
    return str(uuidlib.uuid5(_SPACE, name))


def domain_xml(name: str) -> str:
    """A domain as ``virsh dumpxml`` prints it and as the hook gets it on stdin."""
    uuid = uuid_of(name)
    return _DOMAIN.format(
        name=name,
        uuid=uuid,
        mac=f"{uuid[:2]}:{uuid[2:4]}:{uuid[4:6]}",
        disks="".join(_DISK.format(name=name, disk=d, bus=b) for d, b in (("vda", 2), ("vdb", 3))),
        ports="".join(_PORT.format(index=index) for index in range(1, 4)),
    )


def build(root: Path, count: int) -> None:
    """Build a tree of ``count`` domains."""
    for directory in DIRECTORIES:
        (root / directory).mkdir(parents=True)
    for index in range(count):
        add_domain(root, name_of(index))


def add_domain(root: Path, name: str) -> None:
    """Add one plain domain to a tree."""
    base = os.fspath(root)
    domain = domain_xml(name)
    _write(f"{base}/{CONFIGS}/{name}.xml", _WARNING.format(command=f"edit {name}") + domain)
    line = f"2024-01-01 00:00:00.000+0000: starting up libvirt version: 9.0.0, {name}\n"
    for suffix in SUFFIXES:
        _write(f"{base}/{LOGS}/{name}{suffix}", line * 8)
    os.mkdir(f"{base}/{SNAPSHOTS}/{name}")
    for snapshot in SNAPSHOT_NAMES:
        text = _WARNING.format(command=f"snapshot-edit {name} {snapshot}")
        text += _SNAPSHOT.format(snapshot=snapshot, domain=domain.replace("\n", "\n  ")[:-2])
        _write(f"{base}/{SNAPSHOTS}/{name}/{snapshot}.xml", text)


def write_table(path: Path, count: int) -> None:
    """Write what the bare loop has to be told: a line with name and UUID per domain."""
    names = (name_of(index) for index in range(count))
    path.write_text("".join(f"{name} {uuid_of(name)}\n" for name in names))


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
