"""A fleet of private hosts with running guests, whose QEMU can be replaced."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.live import guest
from tests.live.migration import command
from tests.live.private_host import PrivateHost
from tests.package.fleet.playing import Ansible, Play

QEMU = "/run/qemu/bin/qemu-system-x86_64"
# The note's header (name and description sizes, type 3, "GNU"), before the 20 bytes of the id.
NOTE = bytes.fromhex("04000000 14000000 03000000") + b"GNU\0"


def another_build(binary: bytes) -> bytes:
    """The same program with another build id, as after a security update."""
    at = binary.index(NOTE) + len(NOTE)
    return binary[:at] + bytes(20) + binary[at + 20 :]


def install_qemu(host: PrivateHost, binary: bytes) -> None:
    """Put a QEMU in the place of an earlier one, as dpkg does: by a rename."""
    place = host.path(QEMU)
    new = place.with_name("new")
    place.parent.mkdir(parents=True, exist_ok=True)
    for part in ("share", "lib"):  # QEMU looks for its firmware relative to its binary
        link = place.parents[1] / part
        if not link.is_symlink():
            link.symlink_to(f"/usr/{part}")
    new.write_bytes(binary)
    new.chmod(0o755)
    new.rename(place)


def add_program(host: PrivateHost) -> None:
    """Give the host a command /run/bin/uuidfs: what is installed here, or this checkout."""
    words, env = command()
    program = host.path("/run/bin/uuidfs")
    program.parent.mkdir(exist_ok=True)
    sets = " ".join(f"{key}={value}" for key, value in env.items())
    program.write_text(f'#!/bin/sh\nexec env {sets} {" ".join(words)} "$@"\n')
    program.chmod(0o755)


def start_guest(host: PrivateHost, name: str, number: int, *, change: str = "") -> None:
    """Define and start a guest; ``change`` are devices that it has besides."""
    xml = guest.domain(name, number).replace(
        "<devices>", f"<devices><emulator>{QEMU}</emulator>{change}"
    )
    host.path(f"/run/{number}.xml").write_text(xml)
    host.virsh("define", f"/run/{number}.xml").ok()
    host.virsh("start", "--domain", name).ok()


@dataclass
class Fleet:
    """Hosts by their names, in the order of the inventory."""

    ansible: Ansible
    work: Path
    hosts: dict[str, PrivateHost] = field(default_factory=dict)

    def add(self, name: str, host: PrivateHost) -> None:
        """A host of the group; it has no uuidfs yet."""
        self.hosts[name] = host

    def inventory(self) -> Path:
        """Written anew for each play."""
        path = self.work / "hosts.ini"
        lines = [
            f"{name} ansible_host={host.keeper_pid} ansible_connection=nsenter_host "
            "ansible_python_interpreter=/usr/bin/python3 uuidfs_program=/run/bin/uuidfs "
            "ansible_async_dir=/run/home/async ansible_remote_tmp=/run/home/tmp"
            for name, host in self.hosts.items()
        ]
        path.write_text("\n".join(["[hypervisors]", *lines, ""]))
        return path

    def play(self, playbook: str, *words: str, **variables: object) -> Play:
        """Run a playbook on all hosts, with short waits."""
        values = {"uuidfs_update_poll": 1, "uuidfs_busy_delay": 1, "uuidfs_lock_timeout": 1}
        return self.ansible.play(
            self.inventory(), playbook, *words, variables={**values, **variables}
        )

    def pids(self) -> dict[str, dict[str, int]]:
        """The processes of all guests, by host and name."""
        found: dict[str, dict[str, int]] = {}
        for name, host in self.hosts.items():
            guests = host.virsh("list", "--name").ok().out.splitlines()
            found[name] = {each: host.qemu_pid(each) for each in guests if each}
        return found


def real_qemu() -> bytes:
    """The machine's own."""
    return Path(shutil.which("qemu-system-x86_64") or "/usr/bin/qemu-system-x86_64").read_bytes()
