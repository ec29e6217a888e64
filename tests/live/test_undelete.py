"""``uuidfs undelete`` brings a whole domain back while libvirt's daemon runs."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.live import guest, tpm_guest
from tests.live.conftest import MakeHost
from tests.live.migration import counts
from tests.live.moving import wait_counting
from tests.live.private_host import PrivateHost, uuidfs_command
from tests.live.reconciler import Reconciler
from tests.support.process import Done, wait_for

UUID = guest.uuid(1)

NVRAM = "/var/lib/libvirt/qemu/nvram/web_VARS.fd"

STATE = f"{tpm_guest.STATES}/{UUID}/tpm2/tpm2-00.permall"

KEPT = f"/var/lib/libvirt/by-uuid/kept/{UUID}"

ALL = ("--nvram", "--snapshots-metadata", "--checkpoints-metadata", "--managed-save")

# Ends as by SIGKILL, or ends libvirt's daemon, at the point of the given number.
KILLED = """
import os, signal, sys
from uuidfs.files import change
left, pid = int(sys.argv[1]), int(sys.argv[2])
def trace(point):
    global left
    left -= point.startswith("undelete: ")
    if left == 0 and point.startswith("undelete: "):
        os.kill(pid or os.getpid(), signal.SIGKILL)
change.trace = trace
sys.argv = ["uuidfs", *sys.argv[3:]]
from uuidfs.cli.start import main
main()
"""


def uefi(name: str, number: int = 1, more: str = "") -> str:
    """A guest with UEFI, whose variables libvirt makes at its first start."""
    code = "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
    nvram = "<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'/>"
    text = guest.domain(name, number, memory=64, extra=code + nvram)
    return text.replace("<devices>", f"{tpm_guest.ACPI}<devices>").replace(
        "</devices>", f"{more}</devices>"
    )


def define(host: PrivateHost, xml: str) -> None:
    host.run("virsh", "define", "/dev/stdin", text=xml).ok()


def start_once(host: PrivateHost, name: str) -> None:
    """What a start makes is there, and has bytes of its own."""
    host.virsh("start", name).ok()
    host.virsh("destroy", name).ok()


def furnish(host: PrivateHost) -> None:
    """Two snapshots, the first of them the current one, two checkpoints, autostart."""
    for name in ("s1", "s2"):
        host.virsh("snapshot-create-as", "web", name, "--disk-only").ok()
    host.virsh("snapshot-current", "web", "s1").ok()
    for checkpoint in (guest.checkpoint("c1"), guest.checkpoint("c2", "c1", 1700000001)):
        host.run(
            "virsh", "checkpoint-create", "web", "/dev/stdin", "--redefine", text=checkpoint
        ).ok()
    host.virsh("autostart", "web").ok()


def seen(host: PrivateHost, name: str = "web") -> list[str]:
    """All that libvirt tells of a domain that is off."""
    words = [
        ("dumpxml", name, "--security-info"),
        ("dominfo", name),
        ("snapshot-list", name, "--tree"),
        ("snapshot-current", name, "--name"),
        ("checkpoint-list", name, "--tree"),
        *(("snapshot-dumpxml", name, each) for each in ("s1", "s2")),
        *(("checkpoint-dumpxml", name, each) for each in ("c1", "c2")),
        ("list", "--all", "--autostart"),
    ]
    return [host.virsh(*each).ok().out for each in words]


def fact(host: PrivateHost, path: str) -> tuple[bytes, int, int, int]:
    """A file's bytes, inode, owner and mode."""
    file = host.path(path)
    found = file.stat()
    return file.read_bytes(), found.st_ino, found.st_uid, found.st_mode


def gone(host: PrivateHost, *paths: str) -> bool:
    return not any(host.path(path).exists() for path in paths)


def listed(host: PrivateHost) -> list[dict[str, object]]:
    found: list[dict[str, object]] = host.uuidfs("undelete", "--json").ok().json["domains"]
    return found


def tidy(host: PrivateHost) -> None:
    """Nothing is left in the trash, nothing can come back, and all promises hold."""
    assert host.uuidfs("trash", "list").ok().out == "the trash is empty\n"
    assert listed(host) == []
    host.uuidfs("check").ok()


def killed_at(host: PrivateHost, number: int, *words: str, pid: int = 0) -> Done:
    command, extra = uuidfs_command()
    return host.run(command[0], "-c", KILLED, str(number), str(pid), *words, env=extra)


def test_a_whole_domain_comes_back(converted: PrivateHost) -> None:
    host = converted
    tpm_guest.directories(host)
    define(host, uefi("web", more=tpm_guest.TPM))
    with Reconciler(host) as reconciler:
        start_once(host, "web")
        furnish(host)
        reconciler.settle()
        wait_for(lambda: host.path(f"{KEPT}/autostart").is_symlink(), "autostart is noted")
        before = seen(host)
        files = [fact(host, path) for path in (NVRAM, STATE)]
        host.virsh("undefine", "web", *ALL).ok()
        assert gone(host, NVRAM, STATE)
        wait_for(lambda: [one["when"] for one in listed(host)] not in ([], [None]), "it is noted")
        planned = host.uuidfs("undelete", "web", "--dry-run", "--json").ok().json["steps"]
        assert gone(host, NVRAM, STATE)
        done = host.uuidfs("undelete", "web", "--json").ok().json
        assert done["steps"] == planned
        assert (done["stays"], done["left"]) == ([], [])
        assert seen(host) == before
        assert [fact(host, path) for path in (NVRAM, STATE)] == files
        reconciler.settle()
        tidy(host)
    host.restart()
    assert seen(host) == before
    host.virsh("start", "web").ok()


def _cut_off(host: PrivateHost, points: Iterable[int], *, daemon: bool = False) -> int:
    """Cut an undelete off at some points, and finish it; returns the first one that is none."""
    define(host, uefi("web"))
    start_once(host, "web")
    furnish(host)
    host.uuidfs("convert", "--all").ok()
    before, variables = seen(host), fact(host, NVRAM)
    for number in points:
        host.virsh("undefine", "web", *ALL).ok()
        pid = host.libvirtd.pid if daemon else 0
        done = killed_at(host, number, "undelete", "web", pid=pid)
        cut = not host.path(f"/proc/{pid}").exists() if daemon else done.code not in {0, 1}
        if daemon and cut:
            host.libvirtd.start()
        if not cut:
            done.ok()
            return number
        if listed(host):
            host.uuidfs("undelete", UUID).ok()
        assert (seen(host), fact(host, NVRAM)) == (before, variables), number
        host.uuidfs("convert", "--all").ok()
        tidy(host)
    return 0


def test_an_undelete_that_is_killed_is_finished_by_the_next(converted: PrivateHost) -> None:
    _cut_off(converted, (2, 3, 5, 10))


@pytest.mark.full
@pytest.mark.parametrize("daemon", [False, True])
def test_one_that_is_killed_anywhere(converted: PrivateHost, daemon: bool) -> None:
    """Itself, or libvirt's daemon."""
    assert _cut_off(converted, range(1, 40), daemon=daemon) > 12


def test_a_guest_goes_on_from_its_managed_save(converted: PrivateHost) -> None:
    host = converted
    define(host, guest.domain("web", 1))
    with Reconciler(host) as reconciler:
        reconciler.settle()
        host.virsh("start", "web").ok()
        wait_counting(host, 1)
        host.virsh("managedsave", "web").ok()
        wait_for(lambda: host.path(f"{KEPT}/save").exists(), "the save is kept")
        host.virsh("undefine", "web", "--managed-save").ok()
        refused = host.uuidfs("undelete", "web", "--as", "shop", "--dry-run").ok()
        assert "no managed save under another name" in refused.err
        host.uuidfs("undelete", "web").ok()
        host.virsh("start", "web").ok()
        wait_counting(host, 1)
        assert counts(host, 1)[0] > 1  # the file is new, and it did not boot again
        # It has run since: the save is never put back again.
        wait_for(lambda: not host.path(f"{KEPT}/save").exists(), "the save is forgotten")


def test_another_domain_has_taken_the_name_and_the_firmware(converted: PrivateHost) -> None:
    host = converted
    define(host, uefi("web"))
    start_once(host, "web")
    host.uuidfs("convert", "--all").ok()
    host.path(NVRAM).write_bytes(b"the first one's" + host.path(NVRAM).read_bytes()[15:])
    mine = host.path(NVRAM).read_bytes()
    host.virsh("undefine", "web", "--nvram").ok()
    host.uuidfs("convert", "--all").ok()
    define(host, uefi("web", 2))
    start_once(host, "web")
    other = host.path(NVRAM).read_bytes()
    done = host.uuidfs("undelete", UUID)
    assert (done.code, done.out) == (1, "")
    assert "its name 'web' is taken; give it another one: --as NAME" in done.err
    host.uuidfs("undelete", UUID, "--as", "shop").ok()
    own = f"{Path(NVRAM).parent}/{UUID}_VARS.fd"
    assert host.path(own).read_bytes() == mine
    assert host.path(NVRAM).read_bytes() == other
    assert own in host.virsh("dumpxml", "shop").ok().out
    start_once(host, "shop")
    tidy(host)
    done = host.uuidfs("undelete", "shop")
    assert (done.code, "is there" in done.err) == (2, True)


def test_what_libvirt_refuses_leaves_all_as_it_was(converted: PrivateHost) -> None:
    host = converted
    define(host, uefi("web"))
    start_once(host, "web")
    host.uuidfs("convert", "--all").ok()
    host.virsh("undefine", "web", "--nvram").ok()
    host.uuidfs("convert", "--all").ok()
    before = [one["parts"] for one in listed(host)]
    [config] = host.path("/etc/libvirt/qemu/by-uuid/trash").glob(f"*/{UUID}.xml")
    good = config.read_bytes()
    config.write_bytes(good.replace(b"machine='pc-", b"machine='no-such-"))
    done = host.uuidfs("undelete", "web")
    assert (done.code, "libvirt says" in done.err) == (1, True)
    assert gone(host, NVRAM)
    assert [one["parts"] for one in listed(host)] == before
    assert not listed(host)[0]["begun"]
    config.write_bytes(good)
    host.uuidfs("undelete", "web").ok()
    start_once(host, "web")
    tidy(host)


def test_a_guest_that_runs_on_is_persistent_again(make_host: MakeHost) -> None:
    host = make_host()
    define(host, uefi("web"))
    host.virsh("start", "web").ok()
    host.virsh("snapshot-create-as", "web", "s1", "--disk-only").ok()
    host.uuidfs("convert", "--all").ok()
    before = host.virsh("dumpxml", "web", "--inactive").ok().out
    inode = host.path(NVRAM).stat().st_ino
    host.virsh("undefine", "web", "--nvram", "--snapshots-metadata").ok()
    assert [one["running"] for one in listed(host)] == [True]
    host.uuidfs("undelete", "web").ok()
    assert host.virsh("dumpxml", "web", "--inactive").ok().out == before
    assert host.virsh("snapshot-list", "web", "--name").ok().out.split() == ["s1"]
    assert host.path(NVRAM).stat().st_ino == inode  # which the guest writes to all the time
    tidy(host)
