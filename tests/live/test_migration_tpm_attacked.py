"""Everybody who takes part in the trip of a guest with a TPM is killed; no state is lost."""

import os
from pathlib import Path

import pytest

from tests.live import tpm_guest
from tests.live.attack import begun, ended, signal_to
from tests.live.migration import leftovers, processes, uuidfs
from tests.live.moving import start
from tests.live.private_host import PrivateHost
from tests.live.test_migration_attacked import BOUND, ENDED, PARTS, SLOW
from tests.live.tpm_guest import goes_on, lines, unbroken, xml

FULL = os.environ.get("UUIDFS_FULL_MATRIX") == "1"

SHORT = {
    ("helper", "out"),
    ("helper", "back"),
    ("peer daemon", "peer"),
    ("host daemon", "back"),
    ("QEMU in the peer", "peer"),
    ("QEMU at home", "back"),
}

CELLS = [
    pytest.param(victim, wanted, id=f"{victim}-{wanted}".replace(" ", "-"))
    for victim, wanteds in PARTS.items()
    for wanted in wanteds
    if FULL or (victim, wanted) in SHORT
]


@pytest.mark.parametrize(("victim", "wanted"), CELLS)
def test_whoever_is_killed_in_whatever_phase(
    ready: PrivateHost, tmp_path: Path, victim: str, wanted: str
) -> None:
    tpm_guest.prepare(ready, tmp_path)
    start(ready, xml("a", 1))
    goes_on(ready)
    running = begun(ready, wanted, *SLOW)
    if victim == "host daemon":
        ready.libvirtd.kill()
        ready.libvirtd.start()
    else:
        signal_to(ready, victim, "KILL")
    code, said = ended(running, BOUND)
    recovered = uuidfs(ready, "local-migrate", "--recover").ok()
    print(f"{victim} in {wanted}: exit {code}, {said}{recovered.out}")
    boots = 1
    if ready.virsh("domstate", "a").ok().out.strip() != "running":
        assert victim.startswith("QEMU"), said
        assert ENDED in said, said
        boots = 2
        last = lines(ready)[-1][1]
        ready.virsh("start", "a").ok()
        goes_on(ready)
        assert lines(ready)[-1][1] > last
    goes_on(ready)
    assert processes(ready) == [ready.qemu_pid("a")]
    print(unbroken(lines(ready), boots), "lines")
    assert leftovers(ready) == []
