"""The story of two domains, for other firmware, other formats, and domains that run."""

import pytest

from tests.live.firmware import NVRAM, define, domain, files, path_of, run, says, uuid, write
from tests.live.migration import uuidfs
from tests.live.private_host import PrivateHost

BETA = f"{uuid(1)}_VARS.fd"

SECURE = (
    "<loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader>"
    "<nvram template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd'/>"
)


def define_as(host: PrivateHost, name: str, number: int, system: str, features: str = "") -> None:
    """As ``define``, with other firmware."""
    text = domain(name, number, given=system).replace("<acpi/>", f"<acpi/>{features}")
    define(host, name, number, text=text)


def test_secure_boot(converted: PrivateHost) -> None:
    host = converted
    define_as(host, "alpha", 1, SECURE, "<smm state='on'/>")
    run(host, "alpha")
    keys = host.path(path_of(host, "alpha")).read_bytes()
    write(host, "alpha", "of beta")
    host.virsh("domrename", "alpha", "beta").ok()
    host.uuidfs("convert", "--all").ok()
    define_as(host, "alpha", 2, SECURE, "<smm state='on'/>")
    run(host, "alpha")
    host.virsh("undefine", "alpha", "--nvram").ok()
    run(host, "beta")
    assert says(host, "beta") == "of beta"
    assert host.path(path_of(host, "beta")).read_bytes()[: len(keys) - 8] == keys[:-8]


def test_qcow2(converted: PrivateHost) -> None:
    host = converted
    qcow2, template = f"{NVRAM}/alpha_VARS.qcow2", "/var/lib/libvirt/images/vars.qcow2"
    system = (
        "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
        f"<nvram template='{template}' templateFormat='qcow2' format='qcow2'>{qcow2}</nvram>"
    )
    raw = "/usr/share/OVMF/OVMF_VARS_4M.fd"
    host.run("qemu-img", "convert", "-O", "qcow2", raw, template).ok()
    define_as(host, "alpha", 1, system)
    if "format='qcow2'" not in host.virsh("dumpxml", "alpha").ok().out:
        pytest.skip("this libvirt knows no other format of NVRAM than raw")
    run(host, "alpha")
    data = host.path(qcow2).read_bytes()
    host.virsh("domrename", "alpha", "beta").ok()
    host.uuidfs("convert", "--all").ok()
    own = f"{NVRAM}/{uuid(1)}_VARS.qcow2"
    assert path_of(host, "beta") == own
    run(host, "beta")
    assert host.path(own).read_bytes() == data


def transient(host: PrivateHost) -> None:
    """alpha, which exists while it runs, and whose file is known."""
    define(host, "alpha", 1)
    run(host, "alpha")
    write(host, "alpha", "of beta")
    text = host.virsh("dumpxml", "alpha").ok().out
    host.virsh("undefine", "alpha", "--keep-nvram").ok()
    host.path("/run/domain.xml").write_text(text)
    host.virsh("create", "/run/domain.xml").ok()
    host.uuidfs("convert", "--all").ok()


@pytest.mark.parametrize("kind", ["persistent", "transient"])
def test_a_live_rename(ready: PrivateHost, kind: str) -> None:
    """beta runs on with its file while a new alpha is defined and started, and moves again."""
    host = ready
    if kind == "transient":
        transient(host)
    else:
        define(host, "alpha", 1)
        run(host, "alpha")
        write(host, "alpha", "of beta")
        host.virsh("start", "alpha").ok()
    uuidfs(host, "rename", "--live", "alpha", "beta").ok()
    assert path_of(host, "beta") == f"{NVRAM}/{BETA}"
    host.uuidfs("convert", "--all").ok()
    define(host, "alpha", 2)
    run(host, "alpha")
    write(host, "alpha", "of new")
    uuidfs(host, "local-migrate", "beta").ok()
    assert path_of(host, "beta") == f"{NVRAM}/{BETA}"
    assert (says(host, "beta"), says(host, "alpha")) == ("of beta", "of new")
    host.virsh("undefine", "alpha", "--nvram").ok()
    host.virsh("destroy", "beta").ok()
    host.uuidfs("convert", "--all").ok()
    assert files(host) == [BETA]
    assert host.path(f"{NVRAM}/{BETA}").read_bytes()[-8:] == b"\xffof beta"


def beta_runs_by_its_former_name(host: PrivateHost) -> None:
    """It was renamed while it was off, and started before uuidfs saw that."""
    define(host, "alpha", 1)
    run(host, "alpha")
    write(host, "alpha", "of beta")
    host.virsh("domrename", "alpha", "beta").ok()
    host.virsh("start", "beta").ok()
    host.uuidfs("convert", "--all").ok()


def test_a_name_that_a_running_domain_was_started_with(ready: PrivateHost) -> None:
    """QEMU opens its file by that name again: nobody else gets it before, and nobody waits."""
    host = ready
    beta_runs_by_its_former_name(host)
    define(host, "alpha", 2)
    host.uuidfs("convert", "--all").ok()
    run(host, "alpha")
    assert path_of(host, "alpha") == f"{NVRAM}/{uuid(2)}_VARS.fd"
    uuidfs(host, "local-migrate", "beta").ok()
    assert path_of(host, "beta") == f"{NVRAM}/{BETA}"
    assert says(host, "beta") == "of beta"
    host.uuidfs("convert", "--all").ok()
    assert files(host) == [BETA, f"{uuid(2)}_VARS.fd"]


@pytest.mark.full
def test_a_daemon_that_hangs_is_not_asked_about_every_domain(converted: PrivateHost) -> None:
    """10 s each: the removal of the package would take minutes."""
    host = converted
    for number in range(1, 6):
        define(host, f"alpha{number}", number)
        host.path(f"{NVRAM}/alpha{number}_VARS.fd").write_bytes(b"\xff" * 100)
    host.uuidfs("convert", "--all", "--kind", "nvram").ok()
    host.libvirtd.signal("STOP")
    said = host.uuidfs("revert", "--all")
    host.libvirtd.signal("CONT")
    assert said.code == 1
    assert said.err.count("did not answer for 10 s") == 2
    assert said.err.count("libvirt does not answer") == 3
    host.uuidfs("revert", "--all").ok()
    assert files(host) == [f"alpha{number}_VARS.fd" for number in range(1, 6)]


def test_a_new_domain_that_is_started_at_once(ready: PrivateHost) -> None:
    """It gets a file of its own, though beta runs by that name; beta stays in its process."""
    host = ready
    beta_runs_by_its_former_name(host)
    define(host, "alpha", 2)
    run(host, "alpha")
    assert says(host, "alpha") == ""
    refused = uuidfs(host, "local-migrate", "beta")
    assert refused.code == 1
    assert "another file lies there" in refused.err
    host.virsh("destroy", "beta").ok()
    run(host, "beta")
    assert says(host, "beta") == "of beta"
