"""The hook is there before the log is opened, and nothing that breaks it stops a guest."""

import subprocess
import time
from collections.abc import Callable

import pytest

from tests.live import guest, scripts
from tests.live.conftest import MakeHost
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for

HOOK = "/etc/libvirt/hooks/qemu"
LOG = "/var/log/libvirt/qemu"
LIMIT = 5.0  # seconds that the hook may take


def define(host: PrivateHost, name: str = "a", number: int = 1) -> None:
    """Define a guest."""
    result = scripts.define(name, number).act(host)
    assert result
    result.ok()


def assert_logs_to_its_uuid(host: PrivateHost, name: str, number: int) -> None:
    """NAME.log is a link, and what virtlogd has open for this guest is the link's target."""
    log = host.path(f"{LOG}/{name}.log")
    assert str(log.readlink()) == f"by-uuid/{guest.uuid(number)}.log"
    held = host.path(f"/proc/{host.virtlogd.pid}/fd")
    assert any(descriptor.stat().st_ino == log.stat().st_ino for descriptor in held.iterdir())


def test_the_log_is_a_link_before_virtlogd_opens_it(converted: PrivateHost) -> None:
    define(converted)
    converted.virsh("start", "a").ok()
    assert_logs_to_its_uuid(converted, "a", 1)


def test_the_hook_converts_the_whole_domain(converted: PrivateHost) -> None:
    define(converted)
    converted.virsh("snapshot-create-as", "a", "s").ok()
    converted.virsh("start", "a").ok()
    assert converted.path("/etc/libvirt/qemu/a.xml").is_symlink()
    assert converted.path("/var/lib/libvirt/qemu/snapshot/a/s.xml").is_symlink()
    converted.uuidfs("check").ok()


def test_a_transient_domain_logs_to_its_own_uuid_under_a_name_that_was_in_use(
    converted: PrivateHost,
) -> None:
    for number in (1, 2, 3):
        created = scripts.create("a", number).act(converted)
        assert created
        created.ok()
        assert_logs_to_its_uuid(converted, "a", number)
        converted.virsh("destroy", "a").ok()


def test_a_managed_save_is_restored_through_the_hook(converted: PrivateHost) -> None:
    define(converted)
    converted.virsh("start", "a").ok()
    converted.virsh("managedsave", "a").ok()
    converted.virsh("start", "a").ok()
    assert_logs_to_its_uuid(converted, "a", 1)


def test_a_foreign_hook_stays_and_both_are_called(make_host: MakeHost, uuidfs_works: None) -> None:
    host = make_host()
    foreign = host.path(HOOK)
    foreign.write_text('#!/bin/sh\necho "$1 $2" >> /run/foreign-hook\n')
    foreign.chmod(0o755)
    before = foreign.read_text()
    host.install_hook()
    define(host)
    host.virsh("start", "a").ok()
    assert_logs_to_its_uuid(host, "a", 1)
    assert "a prepare" in host.path("/run/foreign-hook").read_text()
    host.uuidfs("hook", "remove").ok()
    assert foreign.read_text() == before


def test_a_domain_starts_plainly_after_the_hook_is_removed(converted: PrivateHost) -> None:
    converted.uuidfs("hook", "remove").ok()
    converted.reload()
    define(converted)
    converted.virsh("start", "a").ok()
    assert not converted.path(f"{LOG}/a.log").is_symlink()


def replace_interpreter(host: PrivateHost, text: str | None) -> None:
    """Let the hook find another program, or none, where its Python was."""
    if text is not None:
        fake = host.path("/run/python")
        fake.write_text(text)
        fake.chmod(0o755)
    hook = host.path(HOOK)
    lines = hook.read_text().splitlines(keepends=True)
    assert any(line.startswith("python=") for line in lines)
    hook.write_text(
        "".join("python=/run/python\n" if x.startswith("python=") else x for x in lines)
    )


def no_python(host: PrivateHost) -> None:
    """The interpreter is gone."""
    replace_interpreter(host, None)


def no_package(host: PrivateHost) -> None:
    """The interpreter does not find uuidfs."""
    replace_interpreter(host, '#!/bin/sh\nexec /usr/bin/env python3 -IS -c "import uuidfs"\n')


def hanging_python(host: PrivateHost) -> None:
    """The interpreter hangs, and so does a child of it that keeps its descriptors."""
    replace_interpreter(host, "#!/bin/sh\nsleep 60 &\nexec sleep 60\n")


def talking_python(host: PrivateHost) -> None:
    """The interpreter prints things everywhere and fails."""
    replace_interpreter(host, "#!/bin/sh\necho '<domain/>'; echo oops >&2; exit 9\n")


def held_lock(host: PrivateHost) -> None:
    """Somebody else has the domain's lock."""
    host.uuidfs("convert", "--all").ok()
    path = f"/run/uuidfs/lock/{guest.uuid(1)}.lock"
    line = f"mkdir -p -m 700 /run/uuidfs /run/uuidfs/lock; flock {path} touch /run/held;"
    line += f" setsid flock {path} sh -c 'echo > /run/held2; exec sleep 60' >&- 2>&- <&- &"
    host.run("sh", "-c", line).ok()
    wait_for(host.path("/run/held2").exists, "flock has the lock")


def small_log_directory(host: PrivateHost, options: str, fill: str) -> None:
    """Put a full tmpfs in the place of the log directory; the domain's log is there already."""
    line = f"mount -t tmpfs -o {options} tmpfs {LOG} && touch {LOG}/a.log && cd {LOG} && {fill}"
    host.run("sh", "-c", line).ok()


def no_space(host: PrivateHost) -> None:
    """No block is free where the logs are."""
    small_log_directory(host, "size=64k", "{ cat /dev/zero > filler || :; } 2>/run/full")
    assert "No space left" in host.path("/run/full").read_text()


def no_inodes(host: PrivateHost) -> None:
    """No file can be made where the logs are."""
    fill = "for i in 1 2 3 4 5 6 7 8; do touch filler$i 2>/run/full || break; done"
    small_log_directory(host, "nr_inodes=8", fill)
    assert "No space left" in host.path("/run/full").read_text()


def missing_run_directory(host: PrivateHost) -> None:
    """The lock's directory cannot be made."""
    host.path("/run/uuidfs").write_text("a file where a directory should be")


def unreadable_names(host: PrivateHost) -> None:
    """Garbage beside the config and in the store's place."""
    host.path("/etc/libvirt/qemu/broken.xml").write_text("<domain")
    host.path(f"{LOG}/by-uuid").write_text("a file where a directory should be")


BREAKAGES: list[Callable[[PrivateHost], None]] = [
    no_python,
    no_package,
    hanging_python,
    talking_python,
    held_lock,
    no_space,
    no_inodes,
    missing_run_directory,
    unreadable_names,
]


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
def test_a_broken_hook_neither_stops_nor_delays_a_guest(
    converted: PrivateHost, breakage: Callable[[PrivateHost], None]
) -> None:
    host = converted
    define(host)
    breakage(host)
    host.virsh("create", "/dev/null")  # the daemon is warm: only the start is measured
    begin = time.monotonic()
    host.virsh("start", "a").ok()
    took = time.monotonic() - begin
    # A plain start takes 0.3 to 1 s, on a busy machine some; what hangs, hangs for 60.
    assert took < 3 * LIMIT, f"{took:.1f} s"
    assert host.virsh("domstate", "a").ok().out.split() == ["running"]
    begin = time.monotonic()
    host.virsh("managedsave", "a").ok()
    host.virsh("start", "a").ok()
    host.virsh("destroy", "a").ok()
    assert time.monotonic() - begin < 6 * LIMIT


def test_a_start_during_a_running_convert_does_not_deadlock(converted: PrivateHost) -> None:
    define(converted)
    looping = "while :; do virsh dominfo a >&-; done"
    with subprocess.Popen(
        ["nsenter", "-m", "-p", "-n", "-t", str(converted.keeper_pid), "--", "sh", "-c", looping],
        stderr=subprocess.DEVNULL,
    ) as noise:
        try:
            for _ in range(3):
                converted.uuidfs("convert", "--all").ok()
                converted.virsh("start", "a").ok()
                converted.virsh("destroy", "a").ok()
        finally:
            noise.kill()
    converted.uuidfs("check").ok()
