"""Several domains in one command: what fails for one says nothing about the others."""

import json

import pytest

from tests.live import guest
from tests.live.migration import SESSIONS, at_home, counts, prepare, uuidfs
from tests.live.planned import before, uuidfs_at
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for

NAMES = {"a": 1, "b": 2, "c": 3}


@pytest.fixture
def three(ready: PrivateHost) -> PrivateHost:
    """A host with three guests."""
    for name, number in NAMES.items():
        ready.path(f"/run/{name}.xml").write_text(guest.domain(name, number))
        ready.virsh("define", f"/run/{name}.xml").ok()
        ready.virsh("start", name).ok()
    for number in NAMES.values():
        console = ready.path(f"/var/lib/libvirt/images/{number}.console")
        wait_for(console.exists, f"guest {number} runs")
        wait_for(lambda number=number: counts(ready, number), "it counts")  # type: ignore[misc]
    return ready


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_system_call_that_fails_for_one_of_them(three: PrivateHost, jobs: str) -> None:
    """A mount below b's directory: it can be neither removed nor made anew."""
    path = f"{SESSIONS}/peer-{guest.uuid(2)}"
    made = f"mkdir -p {path}/lib && mount -t tmpfs -o ro none {path}/lib"
    plan = [before("migrate.local_migrate", made)]
    pids = {name: three.qemu_pid(name) for name in NAMES}
    words = ("local-migrate", "--all", "--json", "--jobs", jobs, "--max-failures", "0")
    said = uuidfs_at(three, plan, *words)
    print(said)
    assert said.code == 1
    results = {one["name"]: one for one in json.loads(said.out)["domains"]}
    assert results["a"]["error"] is None
    assert results["c"]["error"] is None
    (failed,) = (one for one in results.values() if one["error"])
    assert path in failed["error"]
    assert three.qemu_pid("b") == pids["b"], "it runs on where it was"
    assert three.qemu_pid("a") != pids["a"]
    assert three.qemu_pid("c") != pids["c"]
    three.run("umount", f"{path}/lib").ok()
    uuidfs(three, "local-migrate", "b").ok()
    assert three.qemu_pid("b") != pids["b"]


def test_a_hop_that_never_began_is_no_success(ready: PrivateHost) -> None:
    """libvirt-python refuses the number before libvirt hears of it."""
    prepare(ready)
    pid = ready.qemu_pid("a")
    said = uuidfs(ready, "local-migrate", "a", "--bandwidth", str(1 << 70))
    assert (said.code, said.out, said.traceback) == (1, "", False), said
    assert "cannot move a (hop 1)" in said.err
    assert ready.qemu_pid("a") == pid
    at_home(ready)
