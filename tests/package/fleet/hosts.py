"""A fleet of private hosts with running guests, whose QEMU can be replaced."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.live import guest
from tests.live.devices import define
from tests.live.migration import command, counts
from tests.live.private_host import PrivateHost
from tests.live.updates import QEMU, copy_qemu, upgraded, with_emulator
from tests.package.fleet.playing import Ansible, Play
from tests.support.process import wait_for

# A guest that cannot move: its command line is its own.
OPTIONS = (
    "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
    "<qemu:env name='A' value='b'/></qemu:commandline></domain>"
)


@dataclass
class Fleet:
    """Hosts by their names, in the order of the inventory."""

    ansible: Ansible
    work: Path
    hosts: dict[str, PrivateHost] = field(default_factory=dict)

    @property
    def report(self) -> Path:
        """Where the plays write their report."""
        return self.work / "report.json"

    def add(self, name: str, host: PrivateHost, *, program: bool = True) -> None:
        """A host with a QEMU of its own; the hook and the command unless told otherwise."""
        self.hosts[name] = host
        copy_qemu(host)
        if program:
            host.install_hook()
            add_program(host)

    def start(self, host: str, name: str, number: int = 1, *, movable: bool = True) -> None:
        """Define and start a guest on the host's own QEMU."""
        private = self.hosts[host]
        xml = with_emulator(guest.domain(name, number), QEMU)
        define(private, xml if movable else xml.replace("</domain>", OPTIONS))
        private.virsh("start", "--domain", name).ok()
        wait_for(private.path(f"/var/lib/libvirt/images/{number}.console").exists, "it runs")
        wait_for(lambda: counts(private, number), "it counts")

    def upgrade(self) -> None:
        """Each host gets a QEMU with another build id."""
        for host in self.hosts.values():
            upgraded(host.path(QEMU))

    def play(self, playbook: str, *words: str, **variables: object) -> Play:
        """Run a playbook on all hosts in one batch, with short waits."""
        given = self.variables() | variables
        done = self.ansible.play(self.inventory(), playbook, *words, variables=given)
        print(done.text)  # pytest shows it where the test fails
        return done

    def inventory(self) -> Path:
        """Written anew: a host's process is another one in each test."""
        inventory = self.work / "hosts.ini"
        lines = [
            f"{name} ansible_host={host.keeper_pid} ansible_connection=nsenter_host "
            "ansible_python_interpreter=/usr/bin/python3 uuidfs_program=/run/bin/uuidfs "
            "ansible_async_dir=/run/home/async ansible_remote_tmp=/run/home/tmp"
            for name, host in self.hosts.items()
        ]
        inventory.write_text("\n".join(["[hypervisors]", *lines, ""]))
        return inventory

    def variables(self) -> dict[str, object]:
        """What all plays are given."""
        return {
            "uuidfs_package": "",
            "uuidfs_serial": len(self.hosts),
            "uuidfs_update_poll": 1,
            "uuidfs_busy_delay": 1,
            "uuidfs_lock_timeout": 1,
            "uuidfs_report": str(self.report),
        }

    def pids(self) -> dict[str, dict[str, int]]:
        """The processes of all guests, by host and name."""
        found: dict[str, dict[str, int]] = {}
        for name, host in self.hosts.items():
            guests = host.virsh("list", "--name").ok().out.splitlines()
            found[name] = {each: host.qemu_pid(each) for each in guests if each}
        return found


def add_program(host: PrivateHost) -> None:
    """Give the host a command /run/bin/uuidfs: what is installed here, or this checkout."""
    words, env = command()
    program = host.path("/run/bin/uuidfs")
    program.parent.mkdir(exist_ok=True)
    sets = " ".join(f"{key}={value}" for key, value in env.items())
    program.write_text(f'#!/bin/sh\nexec env {sets} {" ".join(words)} "$@"\n')
    program.chmod(0o755)
