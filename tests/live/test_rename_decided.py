"""A rename that was cut in half, and the domain changed before anybody finished it."""

import re
import shutil

import pytest

from tests.live.private_host import PrivateHost
from tests.live.reconciler import Reconciler
from tests.live.test_rename_killed import UUID, Call, killed, prepare, undisturbed
from tests.support.process import wait_for

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")

CONFIGS = "/etc/libvirt/qemu"


def last_step(host: PrivateHost) -> Call:
    """The removal of the old config in a rename that is not disturbed."""
    pattern = re.compile(r'^\d+ +unlink\("([^"]*)"', re.MULTILINE)
    removed: list[str] = pattern.findall(undisturbed(host))
    return "unlink", removed.index(f"{CONFIGS}/old.xml") + 1


def test_changed_before_it_was_finished(host: PrivateHost, uuidfs_works: None) -> None:
    """Nobody can tell such a pair from a domain and its edited copy: a person decides."""
    call = last_step(host)
    prepare(host)
    host.uuidfs("convert", "--all").ok()
    assert killed(host, call)
    host.libvirtd.start()
    [known] = host.virsh("list", "--all", "--name").ok().out.split()
    other = {"old": "new", "new": "old"}[known]
    host.virsh("setmem", UUID, "13MiB", "--config").ok()
    paths = [host.path(f"{CONFIGS}/{name}.xml") for name in ("old", "new")]
    before = [path.read_bytes() for path in paths]
    why = "differs from it in more than the name"
    with Reconciler(host) as reconciler:
        wait_for(lambda: why in reconciler.said(), "the reconciler has looked at the two names")
        repair = host.uuidfs("check", "--repair")
        assert repair.code == 3, repair
        assert f"{CONFIGS}/{other}.xml: it has the UUID of '{known}', and {why}" in repair.out
        assert [path.read_bytes() for path in paths] == before
        host.run("mv", f"{CONFIGS}/{other}.xml", "/run/").ok()  # as it says
        reconciler.settle()
    assert host.virsh("list", "--all", "--name").ok().out.split() == [known]
    assert host.virsh("snapshot-list", UUID, "--name").ok().out.split() == ["s1", "s2"]
    in_store = host.path(f"{CONFIGS}/by-uuid/{UUID}.xml").read_text()
    assert f"<name>{known}</name>" in in_store
    assert "<currentMemory unit='KiB'>13312<" in in_store
