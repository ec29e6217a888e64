"""pstore and varstore, which newer libvirts know, follow a rename as NVRAM does."""

import re

import pytest

from tests.live.firmware import define, domain, uuid
from tests.live.private_host import PrivateHost

LIB = "/var/lib/libvirt/qemu"


def named(host: PrivateHost, name: str, pattern: str, kind: str = "") -> str:
    """The path in its definition; skips where this libvirt does not know ``kind``."""
    found = re.search(pattern, host.virsh("dumpxml", name, "--inactive").ok().out)
    if found is None and kind:
        pytest.skip(f"this libvirt does not know {kind}")
    assert found
    return found[1]


def test_pstore(converted: PrivateHost) -> None:
    host = converted
    pstore = "<pstore backend='acpi-erst'><size unit='KiB'>64</size></pstore>"
    pattern = r"<path>([^<]*PSTORE[^<]*)</path>"

    def make(name: str, number: int) -> None:
        text = domain(name, number, given="").replace("<devices>", f"<devices>{pstore}")
        define(host, name, number, text=text)

    make("alpha", 1)
    path = named(host, "alpha", pattern, "pstore")
    assert path == f"{LIB}/nvram/alpha_PSTORE.raw"
    host.virsh("start", "alpha").ok()
    host.virsh("destroy", "alpha").ok()
    host.path(path).write_bytes(b"of beta".ljust(65536, b"\0"))
    host.virsh("domrename", "alpha", "beta").ok()
    host.uuidfs("convert", "--all").ok()
    make("alpha", 2)
    own = f"{LIB}/nvram/{uuid(1)}_PSTORE.raw"
    assert named(host, "beta", pattern) == own
    assert named(host, "alpha", pattern) == path
    host.virsh("start", "alpha").ok()
    assert not host.path(path).read_bytes().startswith(b"of beta")
    host.virsh("destroy", "alpha").ok()
    host.virsh("undefine", "alpha", "--nvram").ok()
    assert host.path(own).read_bytes().startswith(b"of beta")


def test_varstore(converted: PrivateHost) -> None:
    """Without a start: no package of Debian's has firmware and a template for it."""
    host = converted
    template = "/var/lib/libvirt/images/vars.json"
    host.path(template).write_text("{}")
    system = (
        "<loader readonly='yes' type='rom'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
        f"<varstore template='{template}'/>"
    )
    pattern = r"<varstore[^>]* path='([^']*)'"
    define(host, "alpha", 1, text=domain("alpha", 1, given=system))
    path = named(host, "alpha", pattern, "varstore")
    assert path == f"{LIB}/varstore/alpha.json"
    host.path(path).parent.mkdir(exist_ok=True)
    host.path(path).write_text('{"of": "beta"}')
    host.virsh("domrename", "alpha", "beta").ok()
    host.uuidfs("convert", "--all").ok()
    define(host, "alpha", 2, text=domain("alpha", 2, given=system))
    own = f"{LIB}/varstore/{uuid(1)}.json"
    assert named(host, "beta", pattern) == own
    assert named(host, "alpha", pattern) == path
    assert host.path(own).read_text() == '{"of": "beta"}'
    assert not host.path(path).exists()
