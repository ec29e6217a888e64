"""What has to be true before a running domain moves; looks only."""

import os
from functools import partial
from typing import Any

from uuidfs.errors import UuidfsError, show
from uuidfs.host.hook_file import status as hook_status
from uuidfs.layout import names
from uuidfs.layout.names import refusal
from uuidfs.layout.places import Layout
from uuidfs.localmigration import (
    devices,
    domain_xml,
    look_at_host,
    memory,
    open_firmware,
    secrets,
    shares,
)
from uuidfs.localmigration.connection import bounded, doing, lookup, module
from uuidfs.localmigration.hop import MigrationOptions
from uuidfs.localmigration.host_daemon import host_daemon
from uuidfs.localmigration.interlock import refused_start
from uuidfs.localmigration.processes import process_of


class CannotMove(UuidfsError):
    """The preflight found what cannot move; nothing was changed."""

    def __init__(self, name: str, reasons: list[str]) -> None:
        super().__init__(f"{show(name)} cannot move: {'; '.join(reasons)}")
        self.name = name
        self.reasons = reasons

    @property
    def for_memory(self) -> bool:
        """Whether memory is all that is in the way: there may be more of it later."""
        return all(reason.startswith(memory.SHORT) for reason in self.reasons)


def preflight(layout: Layout, host: Any, domain: Any, options: MigrationOptions) -> None:
    """Raise CannotMove with everything that stands in the way; changes nothing.

    It asks the host's daemon to start a made-up domain, which the hook refuses (interlock).
    """
    emulator, new_name = options.emulator, options.new_name
    libvirt = module()
    name = str(domain.name())
    reasons = []
    with doing(f"look at {name}"):
        state = domain.state()[0]
        live = domain_xml.parse(domain.XMLDesc())
        if state != libvirt.VIR_DOMAIN_RUNNING:
            reasons.append(
                "it does not run"
                if state == libvirt.VIR_DOMAIN_SHUTOFF
                else "it is paused; resume it first"
            )
        else:
            reasons += shares.unsupported(host, live) or devices.obstacles(live, look(layout, live))
            reasons += secrets.unknown_to_a_peer(host, live, host_daemon(layout).name)
            reasons += _process_obstacles(layout, name, live) or [
                f"{path}: a block job is active"
                for path in domain_xml.found(live, "devices/disk[@device='disk']/target/@dev")
                if bounded(f"look at {path}", partial(domain.blockJobInfo, path))
            ]
    if not hook_status(layout).installed:
        reasons.append(
            "without the hook a second copy could be started meanwhile; run: uuidfs hook install"
        )
    if os.path.exists("/etc/libvirt/qemu.conf"):
        with open("/etc/libvirt/qemu.conf") as file:
            if any(line.strip().startswith("lock_manager") for line in file):
                reasons.append(
                    "lock_manager in /etc/libvirt/qemu.conf: leases cannot be in two places"
                )
    if new_name is not None:
        if (why := refusal(new_name)) is not None:
            reasons.append(why)
        elif lookup(host, new_name) is not None:
            reasons.append(f"there is a domain {new_name!r} already")
    if emulator is not None and not reasons:
        reasons += _emulator(host, live, emulator)
    if not reasons and (why := refused_start(layout, host, live)) is not None:
        reasons.append(why)
    if reasons:
        raise CannotMove(name, reasons)


def _process_obstacles(layout: Layout, name: str, live: Any) -> list[str]:
    """Of its QEMU process: that it answers, and that there is memory for another one."""
    process = process_of(pid_file(layout, name))
    if process is None:
        return [f"its QEMU process cannot be found by {pid_file(layout, name)}"]
    with process:
        if process.stopped:
            return [f"its QEMU process {process.pid} is stopped (SIGSTOP, or a debugger)"]
        short = memory.shortages(memory.need_of(process, live), process)
        return [*short, *memory.file_shortage(live)]


def look(layout: Layout, live: Any) -> devices.HostFacts:
    """What of the host the domain hangs on. Raises UuidfsError or OSError."""
    daemon = host_daemon(layout)
    facts = look_at_host.look(
        live,
        modular=daemon.name != "libvirtd",
        status=layout.status.path,
        since=daemon.since,
    )
    process = process_of(pid_file(layout, live.findtext("name") or ""))
    if process is None:
        return facts
    with process:
        firmware = open_firmware.look(layout, live, process)
    return facts._replace(firmware=firmware.by_uuid, astray=firmware.astray)


def pid_file(layout: Layout, name: str) -> str:
    """The pid file of a domain's QEMU process on the host."""
    return f"{layout.status.path}/{names.pid_file(name)}"


def _emulator(host: Any, live: Any, emulator: str) -> list[str]:
    """Whether the binary knows the guest's machine type and CPU."""
    libvirt = module()
    if not os.access(emulator, os.X_OK):
        return [f"--emulator {emulator}: there is no such program"]
    kind = live.find("os/type")
    chosen = emulator, kind.get("arch"), kind.get("machine"), live.get("type")
    try:
        host.getDomainCapabilities(*chosen)
        cpu = live.find("cpu")
        if cpu is not None and live.get("type") == "kvm":
            from lxml import etree

            compared = host.compareHypervisorCPU(*chosen, etree.tostring(cpu, encoding="unicode"))
            if compared == libvirt.VIR_CPU_COMPARE_INCOMPATIBLE:
                return [f"--emulator {emulator}: it cannot give the guest its CPU"]
    except libvirt.libvirtError as error:
        return [f"--emulator {emulator}: {' '.join(str(error).split())}"]
    return []
