"""Moves guests, and sees that each comes home as it was, or is refused with nothing changed."""

import json
import re

from lxml import etree

from tests.live import guest, moved
from tests.live.devices import (
    define,
    differences,
    shown,
)
from tests.live.migration import counts, leftovers, processes, uuidfs
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for

IMAGES = "/var/lib/libvirt/images"


def move(host: PrivateHost, *names: str, words: tuple[str, ...] = ()) -> None:
    """Move domains, and see that all is as before but for the process."""
    before = {name: (shown(host, name), host.qemu_pid(name)) for name in names}
    said = uuidfs(host, "local-migrate", *names, "--json", *words).ok().out
    trips = json.loads(said)["domains"]
    for name, (views, pid) in before.items():
        assert host.qemu_pid(name) != pid, f"{name} is in its old process"
        changed = differences(views, shown(host, name))
        assert not changed, "\n".join(changed)
        number = int(host.virsh("domuuid", name).ok().out.strip()[-3:])
        assert len(processes(host, guest.uuid(number))) == 1
        moved.note(etree.fromstring(views["live"]))
    assert leftovers(host) == []
    print([(round(one["seconds"], 2), one["downtimes"]) for one in trips])


def refused(host: PrivateHost, name: str, reason: str, *words: str) -> None:
    """Assert that a trip is refused with a reason, with nothing changed."""
    before, pid = shown(host, name), host.qemu_pid(name)
    said = uuidfs(host, "local-migrate", name, *words)
    assert said.code == 1
    assert reason in said.err
    assert differences(before, shown(host, name)) == []
    assert host.qemu_pid(name) == pid
    assert leftovers(host) == []


def start(host: PrivateHost, *xmls: str) -> None:
    """Define and start domains."""
    for xml in xmls:
        define(host, xml)
    for xml in xmls:
        found = re.search("<name>(.*)</name>", xml)
        assert found
        host.virsh("start", found[1]).ok()


def wait_counting(host: PrivateHost, *several: int) -> None:
    """Wait until guests count, and go on counting."""
    for number in several:
        old = len(counts(host, number)) if host.path(f"{IMAGES}/{number}.console").exists() else 0
        wait_for(
            lambda number=number, old=old: len(counts(host, number)) > old + 1,  # type: ignore[misc]
            f"guest {number} counts",
        )


ACPI = "<features><acpi/></features>"
