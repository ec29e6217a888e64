"""Running guests whose QEMU was replaced on disk are found, and only these."""

import json
import shutil

import pytest

from tests.live import guest
from tests.live.migration import leftovers, uuidfs
from tests.live.moving import wait_counting
from tests.live.private_host import PrivateHost
from tests.live.updates import (
    LIBRARIES,
    QEMU,
    copy_qemu,
    found,
    reasons,
    reinstalled,
    run_guest,
    update,
    upgraded,
    with_emulator,
)
from tests.support.process import REPOSITORY, wait_for
from uuidfs.layout.words import short_uuids


@pytest.fixture
def updated(ready: PrivateHost) -> PrivateHost:
    """A host with the hook and a copy of QEMU, which a test updates."""
    copy_qemu(ready)
    return ready


def test_an_equal_copy_is_nothing_a_new_build_is_found_and_after_the_move_nothing(
    updated: PrivateHost,
) -> None:
    run_guest(updated)
    run_guest(updated, emulator="/usr/bin/qemu-system-x86_64", number=2)
    binary = updated.path(QEMU)
    said = uuidfs(updated, "outdated")
    nothing = "none of 2 running guests is outdated\n"
    assert (said.code, said.out, said.err) == (0, nothing, "")
    reinstalled(binary)
    assert found(updated, code=0) == []
    upgraded(binary)
    (one,) = found(updated, code=3)
    pid = updated.qemu_pid("a")
    assert (one["name"], one["uuid"], one["pid"]) == ("a", guest.uuid(1), pid)
    assert reasons(one) == [("binary-replaced", QEMU)]
    said = uuidfs(updated, "outdated")
    assert said.code == 3
    header, line, advice = said.out.splitlines()
    assert header.split() == ["NAME", "UUID", "PID", "REASON"]
    short = short_uuids([guest.uuid(1), guest.uuid(2)])[guest.uuid(1)]
    assert line.split() == ["a", short, str(pid), "binary", "replaced:", QEMU]
    assert advice == (
        "1 of 2 running guests outdated; to move them to what is on disk, run: "
        "uuidfs local-migrate --outdated"
    )
    assert found(updated, "b", code=0) == []
    other = updated.qemu_pid("b")
    said = uuidfs(updated, "local-migrate", "--outdated").ok()
    moved, _, _, cells = said.out.splitlines()
    assert (moved[:9], cells.split()[:2]) == ("a: moved ", ["1", "1"])
    assert found(updated, code=0) == []
    assert updated.qemu_pid("b") == other, "what is up to date stays where it is"
    said = uuidfs(updated, "local-migrate", "--outdated").ok()
    assert said.out.splitlines()[-1].split()[:2] == ["0", "2"]
    for words in (("a", "--outdated"), ("--all", "--outdated"), ()):
        assert uuidfs(updated, "local-migrate", *words).code == 2
    wait_counting(updated, 1)
    assert leftovers(updated) == []


def test_a_binary_that_is_gone_has_its_own_reason(updated: PrivateHost) -> None:
    run_guest(updated)
    updated.path(QEMU).unlink()
    (one,) = found(updated, code=3)
    assert reasons(one) == [("binary-missing", QEMU)]
    said = uuidfs(updated, "outdated")
    assert f"binary removed: {QEMU}" in said.out


def test_a_library_that_was_replaced_or_removed_is_found(updated: PrivateHost) -> None:
    host = updated
    name = "libglib-2.0.so.0"
    listed = host.run("ldd", QEMU).ok().out.splitlines()
    source = next(line.split()[2] for line in listed if line.split()[0] == name)
    library = host.path(f"{LIBRARIES}/{name}")
    shutil.copy(source, library)
    # A script that is the emulator: it executes the real one, with a library of its own.
    script = host.path("/run/other/bin/kvm-spice")
    script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={LIBRARIES} exec {QEMU} "$@"\n')
    script.chmod(0o755)
    run_guest(host, emulator="/run/other/bin/kvm-spice")
    assert found(host, code=0) == [], "a script as emulator is no other program"
    reinstalled(library)
    assert found(host, code=0) == []
    upgraded(library)
    (one,) = found(host, code=3)
    assert reasons(one) == [("library-replaced", f"{LIBRARIES}/{name}")]
    library.unlink()
    (one,) = found(host, code=3)
    assert reasons(one) == [("library-missing", f"{LIBRARIES}/{name}")]


def test_an_emulator_that_was_changed_in_the_config_is_found_and_moved_to(
    updated: PrivateHost,
) -> None:
    host = updated
    run_guest(host, emulator="/usr/bin/qemu-system-x86_64")
    uuidfs(host, "convert", "--all").ok()

    def configure(emulator: str) -> None:
        host.path("/run/a.xml").write_text(with_emulator(guest.domain("a", 1), emulator))
        host.virsh("define", "/run/a.xml").ok()

    link = host.path("/run/other/bin/link")
    link.symlink_to("/usr/bin/qemu-system-x86_64")
    configure("/run/other/bin/link")
    assert found(host, code=0) == [], "a symlink to what runs"
    configure(QEMU)
    assert found(host, code=0) == [], "an equal copy of what runs"
    script = host.path("/run/other/bin/kvm-spice")
    script.write_text(f'#!/bin/sh\nexec {QEMU} "$@"\n')
    script.chmod(0o755)
    configure("/run/other/bin/kvm-spice")
    assert found(host, code=0) == [], "a script: nobody knows what it executes"
    configure(QEMU)
    upgraded(host.path(QEMU))
    (one,) = found(host, code=3)
    assert reasons(one) == [("emulator-changed", QEMU)]
    assert one["emulator"] == QEMU
    uuidfs(host, "local-migrate", "--outdated").ok()
    assert found(host, code=0) == []
    program = host.run("readlink", f"/proc/{host.qemu_pid('a')}/exe").ok().out.strip()
    assert program == QEMU


def test_a_symlink_that_leads_to_another_program_now_is_found(updated: PrivateHost) -> None:
    host = updated
    link, other = host.path("/run/qemu-link"), host.path("/run/other/bin/newer")
    link.symlink_to(QEMU)
    shutil.copy(host.path(QEMU), other)
    upgraded(other)
    run_guest(host, emulator="/run/qemu-link")
    assert found(host, code=0) == []
    link.unlink()
    link.symlink_to("/run/other/bin/newer")
    (one,) = found(host, code=3)
    assert reasons(one) == [("emulator-changed", "/run/qemu-link")]
    assert one["emulator"] is None, "a local migration starts it by the same path"
    uuidfs(host, "local-migrate", "--outdated").ok()
    assert found(host, code=0) == []


def test_guests_that_do_not_run_or_have_ended_are_no_finding(updated: PrivateHost) -> None:
    host = updated
    run_guest(host)
    upgraded(host.path(QEMU))
    assert len(found(host, "a", code=3)) == 1
    pid, mark = host.qemu_pid("a"), host.path("/run/libvirt/qemu/a.pid")
    status = host.path("/run/libvirt/qemu/a.xml").read_bytes()
    host.virsh("destroy", "a").ok()
    assert found(host, "a", code=0) == []
    # What a daemon that was killed leaves: the number is a stranger's, and nobody holds the lock.
    mark.write_text("1\n")
    host.path("/run/libvirt/qemu/a.xml").write_bytes(status)
    assert pid != 1
    assert found(host, code=0) == []
    said = uuidfs(host, "outdated", "nobody", "--json")
    assert said.code == 1
    assert "no domain 'nobody'" in json.loads(said.out)["error"]


def test_one_of_which_nobody_can_tell_is_an_error_and_the_others_move(
    updated: PrivateHost,
) -> None:
    host = updated
    run_guest(host)
    run_guest(host, emulator="/usr/bin/qemu-system-x86_64", number=2)
    upgraded(host.path(QEMU))
    config = host.path("/etc/libvirt/qemu/b.xml")
    before = config.read_bytes()
    update(config, before.replace(b"/usr/bin/qemu-system-x86_64", b"/run/loop"))
    host.path("/run/loop").symlink_to("loop")
    said = uuidfs(host, "outdated")
    assert said.code == 3
    assert "uuidfs: b: " in said.err
    assert "/run/loop: Too many levels of symbolic links" in said.err
    said = uuidfs(host, "local-migrate", "--outdated")
    assert said.code == 1
    assert said.out.startswith("a: moved in ")
    assert "uuidfs: b: whether it is outdated cannot be told: " in said.err
    update(config, before)
    assert found(host, code=0) == []


def test_the_record_for_the_metrics_forgets_who_has_moved(updated: PrivateHost) -> None:
    host = updated
    run_guest(host)
    upgraded(host.path(QEMU))
    assert uuidfs(host, "outdated", "--record").code == 3
    read = (
        "from uuidfs.layout.connections import system\n"
        "from uuidfs.outdated import record\n"
        "print(record.read(system()).guests)"
    )
    program = ("/usr/bin/python3", "-c", read)
    env = {"PYTHONPATH": str(REPOSITORY)}
    assert host.run(*program, env=env).ok().out == f"(('a', {host.qemu_pid('a')}),)\n"
    uuidfs(host, "local-migrate", "--outdated").ok()
    assert host.run(*program, env=env).ok().out == "()\n"
    path = host.path("/run/uuidfs/outdated.json")
    path.unlink()
    begin = "from uuidfs.reconcile.service import _look_for_outdated; _look_for_outdated()"
    host.run("/usr/bin/python3", "-c", begin, env=env).ok()
    wait_for(path.exists, "the reconciler's own look has left a record")
    refused = uuidfs(host, "outdated", "a", "--record")
    assert refused.code == 2


def test_without_the_right_to_look_it_says_so(updated: PrivateHost) -> None:
    host = updated
    run_guest(host)
    upgraded(host.path(QEMU))
    inside = ("setpriv", "--bounding-set", "-sys_ptrace,-sys_admin,-checkpoint_restore")
    command = ("/usr/bin/python3", "-m", "uuidfs", "outdated")
    env = {"PYTHONPATH": str(REPOSITORY)}
    said = host.run(*inside, "--inh-caps", "-all", *command, env=env)
    assert said.code == 1, said
    assert "run as root" in said.err
    assert said.out == ""
    update(host.path(QEMU), host.path("/usr/bin/qemu-system-x86_64").read_bytes())
