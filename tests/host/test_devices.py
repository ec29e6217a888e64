"""A guest with more than a disk, with AppArmor enforced: a TPM and a disk that libvirt's secrets
encrypt, a card on a bridge behind a filter, and one on a network of libvirt.

It moves twice and is renamed while it runs; its TPM and its cards are the same afterwards."""

import re
from pathlib import Path

import pytest

from tests.host import world
from tests.host.host import Host
from tests.live import devices, guest, tpm_guest

pytestmark = pytest.mark.host

NUMBER = 60
UUID = guest.uuid(NUMBER)
CONSOLE = f"{world.IMAGES}/{NUMBER}.console"
LUKS = f"{world.IMAGES}/{NUMBER}.luks"
OF_TPM, OF_DISK = (f"5ec0e7a0-0000-4000-8000-{number:012d}" for number in (61, 62))
SECRETS = {
    OF_TPM: "<usage type='vtpm'><name>of box</name></usage>",
    OF_DISK: f"<usage type='volume'><volume>{LUKS}</volume></usage>",
}
# Isolated and without an address: no dnsmasq, which Debian 12's image has not.
NETWORK = "<network><name>inner</name><bridge name='inner0' stp='off'/></network>"
CARDS = """
<interface type='bridge'><source bridge='outer0'/><mac address='52:54:00:00:60:01'/>
<model type='virtio'/><rom enabled='no'/><filterref filter='clean-traffic'>
<parameter name='IP' value='10.9.0.9'/></filterref></interface>
<interface type='network'><source network='inner'/><mac address='52:54:00:00:60:02'/>
<model type='virtio'/><rom enabled='no'/></interface>"""


@pytest.fixture
def box_host(uuidfs_host: Host, tmp_path: Path) -> Host:
    """A host on which the guest ``box`` runs."""
    host = uuidfs_host
    if not host.emulated:
        pytest.skip("AppArmor is not in force there")
    xml = tpm_guest.xml(
        "box",
        NUMBER,
        CARDS + devices.luks(LUKS, OF_DISK),
        tpm_guest.encrypted_by(OF_TPM),
    )
    texts = {"box": xml, "inner": NETWORK}
    texts |= {uuid: devices.secret(uuid, usage) for uuid, usage in SECRETS.items()}
    for name, text in texts.items():
        (tmp_path / f"{name}.xml").write_text(text)
    files = [*tmp_path.glob("*.xml"), tpm_guest.boot_program(tmp_path)]
    host.put(files, "/root/box")
    key = "--object secret,id=s,data=geheim -o key-secret=s,iter-time=100"
    script = [
        "cd /root/box",
        "ip link add outer0 type bridge forward_delay 0; ip link set outer0 up",
        "virsh -q net-define inner.xml; virsh -q net-start inner",
        *(
            f"virsh -q secret-define {uuid}.xml; virsh -q secret-set-value {uuid} {devices.GEHEIM}"
            for uuid in SECRETS
        ),
        f"qemu-img convert -O qcow2 tpm-guest.raw {guest.disk(NUMBER)}",
        # It measures the CPU, and gives up on a busy one.
        f"for try in 1 2 3; do qemu-img create -q -f luks {key} {LUKS} 2M && break; done",
        # Each guest takes its part of one emulated CPU.
        "virsh -q destroy db; virsh -q destroy web",
        "virsh -q define box.xml; virsh -q start box",
    ]
    host.do("set -e\n" + "\n".join(script))
    return host


def test_trips_of_a_guest_with_a_tpm_cards_and_secrets(box_host: Host) -> None:
    host = box_host
    assert host.run("aa-status --enabled").code == 0
    uses_its_tpm(host)
    was = seen(host, "box")
    assert len(was["cards"]) == 2
    for _ in range(2):
        pid = host.do("cat /run/libvirt/qemu/box.pid")
        host.do("uuidfs local-migrate box")
        assert host.do("cat /run/libvirt/qemu/box.pid") != pid
        uses_its_tpm(host)
        assert seen(host, "box") == was
        assert world.denials(host) == []
    host.do("uuidfs rename --live box crate")
    uses_its_tpm(host)
    assert seen(host, "crate") == was
    print(tpm_guest.unbroken(lines(host)), "lines of the TPM in a row", flush=True)

    host.do("virsh -q destroy crate; virsh -q start crate")
    uses_its_tpm(host)
    tpm_guest.unbroken(lines(host), boots=2)
    host.until("uuidfs check")
    assert world.denials(host) == []
    assert host.do("uuidfs session list") == "no sessions\n"
    assert host.do("systemctl --failed --no-legend --plain") == ""


def lines(host: Host) -> list[tuple[str, int]]:
    """What the guest has printed of its TPM, line for line."""
    return tpm_guest.said(host.do(f"cat {CONSOLE}"))


def uses_its_tpm(host: Host) -> None:
    """Wait until it has printed three lines more."""
    count = f"grep -c ^P {CONSOLE} 2>/dev/null || true"
    wanted = int(host.do(count).strip() or 0) + 3
    host.until(f"test $(grep -c ^P {CONSOLE}) -ge {wanted}")


def seen(host: Host, name: str) -> dict[str, list[str]]:
    """What is connected to the bridges, the filters' rules, and what the guest's QEMU has open."""
    cards = host.do(f"virsh -q domiflist {name}")
    rules = host.do("ebtables -t nat -L")
    opened = host.do(f"find /proc/$(cat /run/libvirt/qemu/{name}.pid)/fd -printf '%l\\n'")
    tap = re.compile(r"vnet\d+")
    return {
        "cards": sorted(tap.sub("vnetN", line) for line in cards.splitlines() if line),
        "rules": sorted(tap.sub("vnetN", line) for line in rules.splitlines()),
        "ports": sorted(re.findall(r"master (\w+)", host.do("ip -o link show type tun"))),
        "opened": sorted(line for line in opened.splitlines() if line.startswith(world.IMAGES)),
    }
