"""The life of the package on a host: what has to hold before each release.

One test, since each step begins where the one before has ended; its output has the times."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.host import world
from tests.host.host import Host

pytestmark = pytest.mark.host

# What the machine itself writes while it goes on.
OWN = (
    "/var/log/",
    "/var/lib/systemd/timers/",
    "/var/lib/systemd/random-seed",
    "/var/lib/logrotate/",
    "/var/lib/libvirt/qemu/domain-",
    "/var/lib/libvirt/qemu/channel/target/domain-",
    "/var/lib/libvirt/images",
    "/run/libvirt/",
    "/etc/apparmor.d/libvirt/libvirt-",  # of each domain that has been started
    "/var/spool/",
)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print what takes how long."""
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)


def test_a_host_from_installation_to_purge(host: Host, deb: Path) -> None:  # noqa: PLR0915 - a life
    before, read = world.listing(host), world.names(host)["files"]
    host.put([deb], "/root/deb")

    with step("installation"):
        host.do(f"dpkg -i /root/deb/{deb.name}")
        assert host.do("systemctl is-enabled uuidfs uuidfs-check").split() == ["enabled"] * 2
        assert host.do("systemctl is-active uuidfs").strip() == "active"
        assert host.run("systemctl is-enabled uuidfs-recover").out.strip() == "static"
        now = world.names(host)
        assert now["files"] == read, "what libvirt reads by name has changed"
        assert {*now["files"], *now["logs"]} == {*now["links"]}
        all_is_well(host)

    with step("a start, a rename, a snapshot, an undefine"):
        host.do("virsh -q start cold")
        world.goes_on(host, "cold")
        host.do("virsh -q domrename vm10 renamed")
        host.do("virsh -q snapshot-create-as vm11 c")
        host.do("virsh -q undefine vm19")
        host.until("uuidfs check")
        assert "vm19" in host.do("uuidfs trash list") or host.do("uuidfs trash list --json")
        all_is_well(host)

    # Each guest takes a third of an emulated CPU. With three of them, on a machine with a load of
    # 13, a trip was given up once: no byte had moved for 120 s.
    host.do("virsh -q destroy cold")
    with step("a trip, and a rename of a running guest"):
        pid = host.do("cat /run/libvirt/qemu/web.pid")
        host.do("uuidfs local-migrate web")
        assert host.do("cat /run/libvirt/qemu/web.pid") != pid
        world.goes_on(host, "web")
        host.do("uuidfs rename db base --live")
        world.goes_on(host, "base", world.ALL["db"])
        assert host.do("virsh -q snapshot-list web --name").split() == ["live"]
        all_is_well(host)

    with step("a reboot with autostart"):
        host.reboot()
        for name, number in (("web", 1), ("base", 2)):
            host.until(f"virsh -q domstate {name} | grep running")
            world.goes_on(host, name, number)
        assert host.do("systemctl is-active uuidfs").strip() == "active"
        host.until("uuidfs check")
        all_is_well(host)

    with step("back to what was there"):
        host.do("virsh -q domrename renamed vm10")
        host.do("virsh -q snapshot-delete vm11 c; virsh -q destroy base")
        host.do(
            "virsh -q domrename base db; virsh -q start db; virsh -q define /root/world/vm19.xml"
        )
        host.until("uuidfs check")

    with step("removal"):
        host.do("dpkg --remove uuidfs")
        assert not world.names(host)["links"]
        assert set(world.domains(host)) == set(world.ALL)
        world.goes_on(host, "web")
        assert not [*world.denials(host)]

    with step("purge"):
        host.do("dpkg --purge uuidfs")
        world.goes_on(host, "db")
        archives = host.do("ls /var/backups/uuidfs-trash-*.tar.gz").split()
        assert len(archives) == 1, "the undefined domain was in the trash"
        host.do(f"rm {archives[0]}")
        after = world.listing(host)
        assert "\n".join(added(before, after)) == ""
        assert "\n".join(added(after, before)) == ""


def all_is_well(host: Host) -> None:
    """Nothing failed, nothing refused, and every promise kept."""
    assert host.do("systemctl --failed --no-legend --plain") == ""
    assert not host.emulated or host.run("aa-status --enabled").code == 0
    assert world.denials(host) == []
    host.do("uuidfs check")


def added(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """What is there only afterwards, or is another kind of thing."""
    return [
        f"{path}: {before.get(path)} -> {what}"
        for path, what in sorted(after.items())
        if before.get(path) != what and not path.startswith(OWN)
    ]
