"""The log of a guest's virtiofsd: a rename, and a new domain of the old name."""

from tests.live import guest
from tests.live.private_host import PrivateHost

LOG = "/var/log/libvirt/qemu"
MEMORY = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
SHARE = (
    "<filesystem type='mount'><driver type='virtiofs'/>"
    "<source dir='/run/share'/><target dir='share'/></filesystem>"
)


def define(host: PrivateHost, name: str, number: int) -> None:
    xml = guest.domain(name, number).replace("<memory ", f"{MEMORY}<memory ")
    host.path(f"/run/{number}.xml").write_text(xml.replace("<devices>", f"<devices>{SHARE}"))
    host.virsh("define", f"/run/{number}.xml").ok()


def test_it_goes_on_under_the_new_name_and_a_new_domain_has_its_own(
    converted: PrivateHost,
) -> None:
    host, log = converted, "-fs0-virtiofsd.log"
    host.path("/run/share").mkdir()
    define(host, "a", 1)
    host.virsh("start", "a").ok()
    host.virsh("destroy", "a").ok()
    host.uuidfs("convert", "--all").ok()
    kept = host.path(f"{LOG}/by-uuid/{guest.uuid(1)}{log}")
    first = kept.read_text()
    assert first
    host.virsh("domrename", "a", "b").ok()
    host.virsh("start", "b").ok()
    host.virsh("destroy", "b").ok()
    assert host.path(f"{LOG}/b{log}").is_symlink()
    assert kept.read_text().startswith(first)
    assert len(kept.read_text()) > len(first)
    both = kept.read_text()
    host.path(f"{LOG}/b{log}").rename(host.path(f"{LOG}/a{log}"))  # as before the hook saw b
    define(host, "a", 2)
    host.virsh("start", "a").ok()
    host.virsh("destroy", "a").ok()
    assert kept.read_text() == both
    host.uuidfs("convert", "--all").ok()
    assert host.path(f"{LOG}/by-uuid/{guest.uuid(2)}{log}").read_text()
    assert host.run("cat", f"{LOG}/b{log}").ok().out == both
    host.uuidfs("check").ok()
    host.uuidfs("revert", "--all").ok()
    assert host.path(f"{LOG}/b{log}").read_text() == both
    assert not host.path(f"{LOG}/b{log}").is_symlink()
