"""What ``uuidfs check`` advises is what helps."""

import shlex

from tests.live import guest
from tests.live.conftest import MakeHost
from tests.live.private_host import PrivateHost, uuidfs_command


def findings(host: PrivateHost) -> list[dict[str, str]]:
    found: list[dict[str, str]] = host.uuidfs("check", "--json").json["findings"]
    return found


def test_a_damaged_config_comes_back_from_libvirts_memory_by_the_advised_command(
    make_host: MakeHost,
) -> None:
    host = make_host()
    for number, name in ((1, "web"), (2, "it's $(x)")):
        xml = guest.domain("web", number, memory=64).replace("<name>web<", f"<name>{name}<")
        host.run("virsh", "define", "/dev/stdin", text=xml).ok()
    host.uuidfs("convert", "web").ok()
    words, env = uuidfs_command()
    before = host.virsh("dumpxml", "--inactive", "web").ok().out
    stored = host.path(f"/etc/libvirt/qemu/by-uuid/{guest.uuid(1)}.xml")
    stored.write_bytes(b"<domain><na")  # in place, as a disk or a careless editor would
    plain = host.path("/etc/libvirt/qemu/it's $(x).xml")
    plain.write_bytes(b"")
    found = findings(host)
    assert {one["name"] for one in found} == {"web", "it's $(x)"}
    for one in found:
        assert one["advice"].startswith("libvirt still knows the domain; run: virsh dumpxml ")
        command = f'uuidfs() {{ {shlex.join(words)} "$@"; }}; {one["command"]}'
        host.run("sh", "-ec", command, env=env).ok()
    assert findings(host) == []
    assert host.virsh("dumpxml", "--inactive", "web").ok().out == before
    host.libvirtd.stop()
    stored.write_bytes(b"<domain><na")
    (one,) = findings(host)
    assert "no running libvirt knows it" in one["advice"]
    assert one["command"].startswith("install -m 600 BACKUP ")
