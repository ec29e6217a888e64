"""Local migration where libvirt keeps domains in control groups: shares, quotas and weights."""

import glob
import os

import pytest

from tests.live import guest
from tests.live.migration import counts, uuidfs, went_on
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for

SETTINGS = (
    ("schedinfo", "--set", "cpu_shares=512"),
    ("schedinfo", "--set", "vcpu_quota=50000"),
    ("memtune", "--soft-limit", "900000"),
    ("blkiotune", "--weight", "300"),
)
VIEWS = ("schedinfo", "memtune", "blkiotune", "numatune")


@pytest.fixture
def grouped(uuidfs_works: None, host: PrivateHost) -> PrivateHost:
    """A host whose libvirtd uses the control groups that this machine has."""
    host.libvirtd.stop()
    conf = host.path("/etc/libvirt/qemu.conf")
    conf.write_text(
        conf.read_text().replace(
            "cgroup_controllers = [ ]", 'cgroup_controllers = [ "cpu", "memory", "blkio" ]'
        )
    )
    # libvirt 9.0 takes an empty version 2 beside version 1 for the one that is in use.
    if not glob.glob("/sys/fs/cgroup/cgroup.controllers"):
        host.run("umount", "/sys/fs/cgroup/unified")
    host.libvirtd.start()
    host.install_hook()
    return host


def groups(name: str) -> list[str]:
    """The domain's control groups, and its peer's."""
    return glob.glob(f"/sys/fs/cgroup/**/*{name[:8]}*.libvirt-qemu", recursive=True)


def test_what_was_tuned_by_control_groups_stays_tuned(grouped: PrivateHost) -> None:
    name = f"cg{os.getpid()}x"
    grouped.path("/run/a.xml").write_text(guest.domain(name, 1))
    grouped.virsh("define", "/run/a.xml").ok()
    grouped.virsh("start", name).ok()
    wait_for(lambda: counts(grouped), "the guest counts")
    if not groups(name):
        pytest.skip("this machine has no control groups that libvirt could use")
    for command, *words in SETTINGS:
        grouped.virsh(command, name, "--live", *words).ok()
    before = {view: grouped.virsh(view, name).ok().out for view in VIEWS}
    assert "900000" in before["memtune"]
    uuidfs(grouped, "local-migrate", name).ok()
    assert {view: grouped.virsh(view, name).ok().out for view in before} == before
    went_on(counts(grouped))
    grouped.virsh("destroy", name).ok()
    wait_for(lambda: not groups(name), "the control groups are gone")
