"""``virsh autostart --once`` (libvirt 11.2 and later): a rename, a new domain, a boot."""

import pytest

from tests.live import guest
from tests.live.private_host import PrivateHost
from tests.live.reconciler import Reconciler
from tests.support.process import wait_for


def boot(host: PrivateHost) -> None:
    """Start libvirtd as after a boot: it starts what is marked, if anything is."""
    host.libvirtd.stop()
    host.run("rm", "-f", "/run/libvirt/qemu/autostarted").ok()
    host.libvirtd.start()


def running(host: PrivateHost) -> set[str]:
    return set(host.virsh("list", "--name").ok().out.split())


def define(host: PrivateHost, name: str, number: int) -> None:
    path = f"/run/{name}.{number}.xml"
    host.path(path).write_text(guest.domain(name, number))
    host.virsh("define", path).ok()


def test_the_renamed_domain_starts_once_and_the_new_one_of_its_name_does_not(
    host: PrivateHost, uuidfs_works: None
) -> None:
    if "--once" not in host.virsh("help", "autostart").ok().out:
        pytest.skip("this libvirt has no autostart --once")
    with Reconciler(host) as reconciler:
        define(host, "a", 1)
        define(host, "marker", 3)
        host.virsh("autostart", "--once", "marker").ok()  # makes libvirt's directory
        note = host.path(f"/etc/libvirt/qemu/by-uuid/{guest.uuid(3)}~once")
        wait_for(note.is_symlink, "the directory is watched")
        reconciler.settle()
        host.path("/run/a.2.xml").write_text(guest.domain("a", 2))
        story = "virsh autostart --once a && virsh domrename a b && virsh define /run/a.2.xml"
        host.run("sh", "-c", story).ok()
        reconciler.settle()
    boot(host)
    wait_for(lambda: running(host) == {"marker", "b"}, "both have begun")
    host.virsh("destroy", "b").ok()
    host.virsh("destroy", "marker").ok()
    boot(host)
    host.virsh("domstate", "a").ok()
    assert running(host) == set()
    autostart = host.path("/etc/libvirt/qemu/autostart")
    assert [path.name for path in autostart.iterdir()] == []


def test_a_mark_that_nobody_has_noted_in_time_starts_no_stranger(
    host: PrivateHost, uuidfs_works: None
) -> None:
    if "--once" not in host.virsh("help", "autostart").ok().out:
        pytest.skip("this libvirt has no autostart --once")
    define(host, "a", 1)
    host.uuidfs("convert", "--all").ok()
    host.virsh("autostart", "--once", "a").ok()
    host.virsh("domrename", "a", "b").ok()
    define(host, "a", 2)
    host.uuidfs("convert", "--all").ok()
    host.virsh("autostart", "--once", "a").ok()  # asked for: this one stays
    host.uuidfs("convert", "--all").ok()
    boot(host)
    wait_for(lambda: running(host) == {"a"}, "it has begun")
    host.virsh("destroy", "a").ok()
    host.virsh("autostart", "--once", "a").ok()
    host.virsh("domrename", "a", "c").ok()
    define(host, "a", 3)
    host.uuidfs("convert", "--all").ok()
    boot(host)
    host.virsh("domstate", "a").ok()
    assert running(host) == set()


def test_after_a_revert_it_is_as_libvirt_has_it(host: PrivateHost, uuidfs_works: None) -> None:
    if "--once" not in host.virsh("help", "autostart").ok().out:
        pytest.skip("this libvirt has no autostart --once")
    define(host, "a", 1)
    host.virsh("autostart", "--once", "a").ok()
    host.uuidfs("convert", "--all").ok()
    host.virsh("domrename", "a", "b").ok()
    host.uuidfs("revert", "--all").ok()
    boot(host)
    wait_for(lambda: running(host) == {"b"}, "it has begun")
    host.virsh("autostart", "--once", "b").ok()
    host.uuidfs("convert", "--all").ok()
    host.virsh("destroy", "b").ok()
    host.virsh("undefine", "b").ok()
    host.uuidfs("convert", "--all").ok()
    assert list(host.path("/etc/libvirt/qemu/autostart").iterdir()) == []


def test_a_live_rename_takes_it_along(ready: PrivateHost) -> None:
    if "--once" not in ready.virsh("help", "autostart").ok().out:
        pytest.skip("this libvirt has no autostart --once")
    define(ready, "a", 1)
    ready.virsh("start", "a").ok()
    ready.virsh("autostart", "--once", "a").ok()
    ready.uuidfs("convert", "--all").ok()
    ready.uuidfs("rename", "a", "b", "--live").ok()
    autostart = ready.path("/etc/libvirt/qemu/autostart")
    assert [path.name for path in autostart.iterdir()] == ["b.xml.once"]
    ready.uuidfs("convert", "--all").ok()
    assert [path.name for path in autostart.iterdir()] == ["b.xml.once"]
    ready.uuidfs("check").ok()
