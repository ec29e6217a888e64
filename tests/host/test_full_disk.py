"""A disk that has no blocks, or no inodes, left when a domain starts or is converted."""

from pathlib import Path

import pytest

from tests.host import world
from tests.host.host import Host

pytestmark = pytest.mark.host

# Blocks to the last one: a large file, then smaller and smaller ones. ext4 keeps 5 % for root, and
# fallocate takes these, too.
FILL = {
    "blocks": "fallocate -l $(($(df --output=avail -B1 / | tail -n 1) - (1 << 20))) /fill0;"
    " for n in 64k 4k 512; do dd if=/dev/zero of=/fill.$n bs=$n; done 2>/dev/null;"
    " ! dd if=/dev/zero of=/fill.last bs=4k count=1 2>/dev/null",
    "inodes": "mkdir /fill.d; cd /fill.d;"
    " python3 -c 'import itertools\nfor n in itertools.count():\n"
    ' try: open(str(n), "x").close()\n except OSError: break\'; ! touch /fill.d/last',
}
FREE = "rm -rf /fill0 /fill.* /fill.d"


@pytest.mark.parametrize("what", FILL)
def test_a_full_disk_stops_no_guest_and_loses_nothing(uuidfs_host: Host, what: str) -> None:
    """At a start, at libvirt's save, at a conversion: afterwards all of it is as it should be."""
    host = uuidfs_host
    host.do("systemctl stop uuidfs && uuidfs revert --all")
    before = world.names(host)["files"]
    host.do(FILL[what])
    converted = host.run("uuidfs convert --all")
    assert converted.code in (0, 1), converted
    assert not converted.traceback, converted
    assert world.names(host)["files"] == before
    host.run("systemctl start uuidfs")  # it may fail; it comes back by itself
    started = host.run("virsh -q start vm15")
    host.run("virsh -q desc cold --config full")  # libvirt's own save, which may fail
    assert host.run("test -s /etc/libvirt/qemu/cold.xml").code == 0
    # Their consoles are files on the full disk, so they cannot be seen to print yet.
    assert world.domains(host)["web"] == "running"

    host.do(FREE)
    for name in ("web", "vm15") if started.code == 0 else ("web",):
        world.goes_on(host, name)
    host.until("systemctl is-active -q uuidfs && uuidfs check")
    now = world.names(host)
    assert {*now["files"], *now["logs"]} == {*now["links"]}
    changed = {path for path, read in now["files"].items() if read != before.get(path)}
    assert changed <= {"/etc/libvirt/qemu/cold.xml"}
    assert {*now["files"]} == {*before}
    assert world.denials(host) == []


@pytest.mark.parametrize("what", FILL)
def test_an_installation_on_a_full_disk_can_be_finished_later(
    host: Host, deb: Path, what: str
) -> None:
    before = world.names(host)["files"]
    host.put([deb], "/run/deb")
    host.do(FILL[what])
    host.run(f"dpkg -i /run/deb/{deb.name}")
    assert world.names(host)["files"] == before
    assert world.domains(host)["web"] == "running"
    host.run("virsh -q start vm15")  # libvirt may have no room for its log
    host.do(FREE)
    world.goes_on(host, "web")
    host.do(f"dpkg --configure -a; dpkg -i /run/deb/{deb.name}")
    host.until("systemctl is-active -q uuidfs && uuidfs check")
    now = world.names(host)
    assert now["files"] == before
    assert {*now["files"], *now["logs"]} == {*now["links"]}
