"""What a reboot finds: suspended guests, and a rename that was cut in half."""

import pytest

from tests.host import world
from tests.host.host import Host

pytestmark = pytest.mark.host


def test_suspended_guests_and_half_a_rename_come_through_a_reboot(uuidfs_host: Host) -> None:
    """libvirt-guests saves guests and starts them again. A crash in domrename leaves two configs of
    one UUID, of which the new one is right; uuidfs-check.service finishes it before libvirtd."""
    host = uuidfs_host
    host.do("echo ON_SHUTDOWN=suspend >>/etc/default/libvirt-guests")
    host.do("systemctl stop uuidfs")
    host.do("sed 's/>vm15</>renamed</' /etc/libvirt/qemu/vm15.xml >/etc/libvirt/qemu/renamed.xml")
    before = world.names(host)["files"]
    host.reboot()
    check = host.do("journalctl -q --no-pager -b -u uuidfs-check -u libvirtd -o cat")
    assert "Finished uuidfs-check" in check, check
    assert check.index("Finished uuidfs-check") < check.index("Started libvirtd"), check
    domains = world.domains(host)
    assert len({"vm15", "renamed"} & {*domains}) == 1, domains
    assert {*domains} - {"vm15", "renamed"} == {*world.ALL} - {"vm15"}
    for name in world.RUNNING:
        host.until(f"virsh -q domstate {name} | grep running")
        world.goes_on(host, name)
    host.until("uuidfs check")
    now = world.names(host)["files"]
    assert [p for p, read in before.items() if now.get(p) != read and "15" not in p] in (
        [],
        ["/etc/libvirt/qemu/renamed.xml"],
    )
    assert host.do("systemctl --failed --no-legend --plain") == ""
    assert world.denials(host) == []
