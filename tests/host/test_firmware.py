"""UEFI domains with AppArmor enforced: the file of a domain's variables is called after its UUID.

The image has no OVMF; the test brings this machine's."""

from pathlib import Path

import pytest

from tests.host import world
from tests.host.host import Host
from tests.live import firmware

pytestmark = pytest.mark.host

FIRMWARE = [Path(firmware.CODE), Path(firmware.TEMPLATE)]
SECONDS = 120  # until the reconciler has seen a rename, on an emulated machine with other work
OURS, NEW = 51, 52


@pytest.fixture
def uefi_host(uuidfs_host: Host) -> Host:
    """A machine that has OVMF."""
    if not uuidfs_host.emulated:
        pytest.skip("AppArmor is not in force there")
    if not all(path.exists() for path in FIRMWARE):
        pytest.skip(f"needs {firmware.CODE} (package ovmf)")
    uuidfs_host.put(FIRMWARE, "/usr/share/OVMF")
    return uuidfs_host


def test_a_renamed_uefi_domain_and_a_new_one_of_its_name_run_side_by_side(
    uefi_host: Host,
) -> None:
    host, ours = uefi_host, path_of(OURS)
    former = f"{firmware.NVRAM}/alpha_VARS.fd"
    assert not host.emulated or host.run("aa-status --enabled").code == 0
    define(host, "alpha", OURS)
    host.do("virsh -q start alpha")
    assert former in rules(host, OURS), "virt-aa-helper's own rule"
    host.do("virsh -q destroy alpha")
    before = owner(host, former)

    host.do("virsh -q domrename alpha beta")
    host.until(f"virsh dumpxml beta | grep -F '>{ours}<'", timeout=SECONDS)
    host.until(f"! test -e {former}", timeout=SECONDS)
    assert owner(host, ours) == before

    host.do("virsh -q start beta")
    assert opened(host, "beta") == {ours}
    assert former not in rules(host, OURS)
    assert ours in rules(host, OURS)
    running = owner(host, ours)
    assert 'ref_dac="1"' in running, "libvirt notes the owner for the time after"
    define(host, "alpha", NEW)
    host.do("virsh -q start alpha")
    assert opened(host, "alpha") == {former}
    assert opened(host, "beta") == {ours}, "it has its file yet"
    no_denials(host)

    pid = host.do("cat /run/libvirt/qemu/beta.pid")
    host.do("uuidfs local-migrate beta")
    assert host.do("cat /run/libvirt/qemu/beta.pid") != pid
    assert opened(host, "beta") == {ours}
    no_denials(host)
    host.do("uuidfs rename --live beta gamma")
    assert opened(host, "gamma") == {ours}
    assert owner(host, ours) == running
    assert confined(host, "gamma") == f"libvirt-{firmware.uuid(OURS)} (enforce)"
    no_denials(host)

    host.do("virsh -q destroy gamma; virsh -q destroy alpha")
    assert owner(host, ours) == before
    assert owner(host, former) == before
    host.until("uuidfs check", timeout=SECONDS)
    no_denials(host)


def define(host: Host, name: str, number: int) -> None:
    """Define it; libvirt makes its file of variables at the first start."""
    disk = f"{world.IMAGES}/{number}.qcow2"
    host.do(f"test -e {disk} || qemu-img create -q -f qcow2 {disk} 1M")
    host.do("cat >/root/uefi.xml", data=firmware.domain(name, number).encode())
    host.do("virsh -q define /root/uefi.xml")


def path_of(number: int) -> str:
    """The path that a domain's file has by its UUID."""
    return f"{firmware.NVRAM}/{firmware.uuid(number)}_VARS.fd"


def opened(host: Host, name: str) -> set[str]:
    """The files of variables that the domain's QEMU has open, by the names they have now."""
    links = host.do(f"find /proc/$(cat /run/libvirt/qemu/{name}.pid)/fd -printf '%l\\n'")
    return {link for link in links.splitlines() if "_VARS.fd" in link}


def owner(host: Host, path: str) -> str:
    """Owner and mode, and libvirt's notes of owners, which are there while a domain runs."""
    notes = f"getfattr --absolute-names -d -m trusted '{path}' | grep -v timestamp"
    return host.do(f"stat -c '%U:%G %a' '{path}'; {notes} || true").replace(path, "")


def rules(host: Host, number: int) -> str:
    """What virt-aa-helper has allowed the running domain beside the abstraction."""
    return host.do(f"cat /etc/apparmor.d/libvirt/libvirt-{firmware.uuid(number)}.files")


def confined(host: Host, name: str) -> str:
    """The profile of the domain's QEMU."""
    pid = host.do(f"cat /run/libvirt/qemu/{name}.pid").strip()
    return host.do(f"cat /proc/{pid}/attr/current").strip()


def no_denials(host: Host) -> None:
    """AppArmor has refused nothing."""
    assert world.denials(host) == []
