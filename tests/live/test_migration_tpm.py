"""Local migration of guests with an emulated TPM: no state is lost, and none is rolled back."""

import json
import re
from pathlib import Path

import pytest

from tests.live import guest, tpm_guest
from tests.live.attack import PEER_URI, begun, ended, signal_to
from tests.live.devices import asks_for_secrets, define, define_secret
from tests.live.migration import leftovers, processes, uuidfs
from tests.live.moving import move, refused, start, wait_counting
from tests.live.planned import HOME, before, killed, uuidfs_at
from tests.live.private_host import DAEMON, PrivateHost
from tests.live.tpm_guest import encrypted_by, goes_on, lines, newest, unbroken, xml
from tests.support.process import wait_for

TRIPS = 3

UUID = guest.uuid(1)

PEER = f"/var/lib/libvirt/by-uuid/aside/{UUID}.tpm"


@pytest.fixture
def host(ready: PrivateHost, tmp_path: Path) -> PrivateHost:
    """A host with a disk that uses a TPM."""
    tpm_guest.prepare(ready, tmp_path, 1, 2)
    return ready


def test_the_chain_is_unbroken_over_trips(host: PrivateHost) -> None:
    start(host, xml("a", 1))
    for _ in range(TRIPS):
        goes_on(host)
        move(host, "a")
    goes_on(host)
    print(unbroken(lines(host)), "lines")
    host.virsh("destroy", "a").ok()
    host.virsh("start", "a").ok()
    goes_on(host)
    unbroken(lines(host), boots=2)


def test_a_swtpm_that_does_not_listen_yet_costs_a_second_try(host: PrivateHost) -> None:
    start(host, xml("a", 1))
    goes_on(host)
    tpm_guest.slow_once(host)
    move(host, "a")
    goes_on(host)
    assert not any(host.path(f"{tpm_guest.IMAGES}/late").iterdir())
    unbroken(lines(host))


def test_a_state_is_written_where_the_guest_arrives(host: PrivateHost) -> None:
    """Also when the guest writes nothing: so what was written last is the newest state."""
    guest.add_disks(host, guest.make_disk_template(host.root))
    start(host, xml("a", 1))
    wait_counting(host, 1)
    first = newest(host).stat().st_mtime_ns
    away = f"stat -c %.Y {PEER}/{UUID}/tpm2/tpm2-00.permall"
    plan = [before("hop.move", f"{away}; sleep 0.2", HOME)]
    said = uuidfs_at(host, plan, "local-migrate", "a").ok()
    found = re.search(r"exit 0 (\d+)\.(\d{9})", said.err)
    assert found, said
    second = int(found[1] + found[2])
    assert first < second < newest(host).stat().st_mtime_ns


@pytest.mark.parametrize("kind", ["persistent", "transient"])
def test_live_rename_and_transient_domains(host: PrivateHost, kind: str) -> None:
    """libvirt removes the state at home when it undefines the domain there."""
    if kind == "transient":
        define(host, xml("a", 1), "create")
    else:
        start(host, xml("a", 1))
    goes_on(host)
    if kind == "transient":
        move(host, "a")
    else:
        uuidfs(host, "rename", "a", "b", "--live").ok()
    goes_on(host)
    unbroken(lines(host))
    assert leftovers(host) == []
    assert newest(host).exists()


@pytest.mark.parametrize("words", [("local-migrate", "a"), ("rename", "a", "b", "--live")])
def test_a_guest_that_ends_in_the_peer_keeps_its_state(
    host: PrivateHost, words: tuple[str, ...]
) -> None:
    start(host, xml("a", 1))
    goes_on(host)
    ends = f"sleep 2; virsh -c '{PEER_URI}' destroy a-incoming"
    said = uuidfs_at(host, [before("hop.move", ends, HOME)], *words)
    assert "has ended while it was moved" in said.err, said
    last = lines(host)[-1][1]
    assert leftovers(host) == []
    name = host.virsh("list", "--all", "--name").ok().out.split()[0]
    host.virsh("start", name).ok()
    goes_on(host)
    assert lines(host)[-1][1] > last
    unbroken(lines(host), boots=2)


def test_of_a_transient_guest_that_ends_in_the_peer_nothing_is_kept(host: PrivateHost) -> None:
    """As libvirt does when it ends at home."""
    define(host, xml("a", 1), "create")
    goes_on(host)
    ends = f"sleep 1; virsh -c '{PEER_URI}' destroy a-incoming"
    assert uuidfs_at(host, [before("hop.move", ends, HOME)], "local-migrate", "a").code == 1
    assert leftovers(host) == []
    assert not newest(host).exists()


@pytest.mark.parametrize("recovered", ["by the start", "by --recover"])
def test_a_power_cut_while_the_guest_is_away_rolls_nothing_back(
    host: PrivateHost, recovered: str
) -> None:
    """Everything below /run is gone, and so are all processes; the disks are there."""
    start(host, xml("a", 1))
    goes_on(host)
    plan = [before("hop.move", "sleep 2", HOME), killed("hop.move", HOME)]
    uuidfs_at(host, plan, "local-migrate", "a")
    last = lines(host)[-1][1]
    cut(host)
    if recovered == "by --recover":
        said = uuidfs(host, "local-migrate", "--recover").ok()
        print(said.out)
        assert leftovers(host) == []
    host.virsh("start", "a").ok()
    goes_on(host)
    assert lines(host)[-1][1] > last
    unbroken(lines(host), boots=2)
    uuidfs(host, "local-migrate", "--recover")
    assert leftovers(host) == []


def cut(host: PrivateHost) -> None:
    """What a power cut leaves, without the machine: no process, nothing in /run."""
    # Both daemons', and both processes of either kind; by their names, which are cut off.
    for program in (DAEMON, "qemu-system-x86", "swtpm"):
        host.run("pkill", "-KILL", "-x", program)
        wait_for(lambda name=program: host.run("pgrep", "-x", name).code, f"{program} ends")  # type: ignore[misc]  # bound by a default
    host.run("sh", "-c", "grep -o '/run/libvirt/uuidfs/[^ ]*' /proc/mounts | xargs -r umount")
    host.run("rm", "-rf", "/run/uuidfs", "/run/libvirt/uuidfs", "/run/libvirt/qemu").ok()
    host.run("mkdir", "-p", "/run/libvirt/qemu").ok()
    host.libvirtd.start()


@pytest.mark.parametrize("phase", ["begin", "out", "peer", "back", "home"])
@pytest.mark.full
def test_a_helper_that_is_killed_loses_no_state(host: PrivateHost, phase: str) -> None:
    start(host, xml("a", 1))
    goes_on(host)
    running = begun(host, phase)
    signal_to(host, "helper", "KILL")
    ended(running, 60)
    said = uuidfs(host, "local-migrate", "--recover", "a")
    print(said.out, said.err)
    goes_on(host)
    assert len(processes(host, UUID)) == 1
    unbroken(lines(host))
    assert leftovers(host) == []


@asks_for_secrets
def test_an_encrypted_state_and_two_guests_at_once(host: PrivateHost) -> None:
    """The passphrase is libvirt's secret, which the peer's daemon reads, too."""
    secret = "5ec0e7a0-0000-4000-8000-000000000001"
    define_secret(host, secret, "<usage type='vtpm'><name>of a</name></usage>")
    encrypted = encrypted_by(secret)
    start(host, xml("a", 1, tpm=encrypted), xml("b", 2))
    goes_on(host, 1)
    goes_on(host, 2)
    said = uuidfs(host, "local-migrate", "--all", "--jobs", "2", "--json").ok()
    assert [one["error"] for one in json.loads(said.out)["domains"]] == [None, None]
    for number in (1, 2):
        goes_on(host, number)
        unbroken(lines(host, number))
    assert leftovers(host) == []


def test_the_modes_of_what_is_kept(host: PrivateHost) -> None:
    start(host, xml("a", 1))
    goes_on(host)
    find = f"find {PEER} -printf '%P %u %m\\n' >/run/modes; ls -ld {PEER}/.. >>/run/modes"
    uuidfs_at(host, [before("hop.move", find, HOME)], "local-migrate", "a").ok()
    said = host.path("/run/modes").read_text()
    print(said)
    assert re.search(r"(?m)^ root 711$", said)
    assert re.search(rf"(?m)^{UUID} root 711$", said)
    assert re.search(rf"(?m)^{UUID}/tpm2 tss 700$", said)
    assert re.search(rf"(?m)^{UUID}/tpm2/tpm2-00.permall tss 600$", said)
    assert re.search(r"(?m)^drwx------ ", said)


@asks_for_secrets
def test_what_cannot_move_is_refused(host: PrivateHost) -> None:
    secret = "5ec0e7a0-0000-4000-8000-000000000002"
    define_secret(host, secret, "<usage type='vtpm'><name>of b</name></usage>", ephemeral="yes")
    encrypted = encrypted_by(secret)
    start(host, xml("a", 1, tpm=encrypted))
    goes_on(host)
    refused(host, "a", f"secret {secret}: it is ephemeral, so only the host's daemon knows it")


@pytest.mark.parametrize("where", ["at home", pytest.param("in the peer", marks=pytest.mark.full)])
def test_a_swtpm_that_is_gone_takes_no_guest_with_it(host: PrivateHost, where: str) -> None:
    """QEMU cannot ask it for its state, so the guest stays where it is; and can be ended there."""
    start(host, xml("a", 1))
    goes_on(host)
    if where == "at home":
        host.run("pkill", "-KILL", "-x", "swtpm").ok()
        said = uuidfs(host, "local-migrate", "a")
        assert said.code == 1
        assert processes(host, UUID) == [host.qemu_pid("a")]
    else:
        gone = "sleep 1; pkill -KILL -x swtpm"
        said = uuidfs_at(host, [before("hop.move", gone, HOME)], "local-migrate", "a")
        assert said.code == 1
        assert "the guest runs on in the peer" in said.err
        assert len(processes(host, UUID)) == 1
        host.run("virsh", "-c", PEER_URI, "destroy", "a-incoming").ok()
        uuidfs(host, "local-migrate", "--recover", "a").ok()
        host.virsh("start", "a").ok()
        last = lines(host)[-1][1]
        goes_on(host)
        assert lines(host)[-1][1] > last
    print(said.err)
    assert leftovers(host) == []
