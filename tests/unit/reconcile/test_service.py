"""uuidfs reconcile as a service: signals, kills, lost events, and what others say of it."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import (
    libvirt_domrename,
    libvirt_save,
)
from tests.support.process import reconciler, uuidfs, wait_for
from tests.support.trees import domain_xml, sample
from tests.support.truth import broken_promises, facts
from tests.unit.reconcile.domains import DB, WEB, clean, linked


def test_it_converts_what_is_there_and_ends_by_sigterm(make_tree: Build) -> None:
    tree = make_tree(*sample(3))
    truth = facts(tree.host)
    with reconciler(tree.host.root) as daemon:
        assert broken_promises(tree.host, truth, tree.bindings) == []
        assert daemon.end(signal.SIGTERM) == 0


def test_killed_at_any_moment_and_started_again(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    daemon = reconciler(tree.host.root)
    with daemon:
        for number in range(8):
            for save in range(10):
                libvirt_save(
                    tree.host.config_of("web"),
                    domain_xml("web", WEB.uuid, f"{number} {save}"),
                    sync=False,
                )
                time.sleep(0.001 * number)
            assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
            libvirt_save(tree.host.config_of("db"), domain_xml("db", DB.uuid, str(number)))
            daemon.start()
            assert linked(tree.host.config_of("db"), DB.uuid)
        wait_for(lambda: clean(tree), "check is clean")
    assert tree.host.config_of("web").read_bytes() == domain_xml("web", WEB.uuid, "7 9")


def test_directories_that_come_later_and_are_replaced(make_tree: Build) -> None:
    tree = make_tree(WEB)
    later = tree.host.root / "var/log/libvirt/qemu.later"
    os.rename(tree.host.log, later)
    with reconciler(tree.host.root):
        os.rename(later, tree.host.log)
        wait_for(lambda: linked(tree.host.log_of("web"), WEB.uuid), "logs that came later")
        # A restore from a backup: another directory at the same path.
        copy = tree.host.root / "etc/libvirt/qemu.copy"
        shutil.copytree(tree.host.config, copy, symlinks=True)
        os.rename(tree.host.config, tree.host.root / "etc/libvirt/qemu.old")
        os.rename(copy, tree.host.config)
        time.sleep(1.5)
        libvirt_save(tree.host.config_of("web"), domain_xml("web", WEB.uuid, "after"))
        wait_for(lambda: linked(tree.host.config_of("web"), WEB.uuid), "in the new directory")


def test_a_queue_that_overflows_loses_nothing(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with reconciler(tree.host.root) as daemon:
        passed = daemon.standing()["passed"]
        daemon.signal(signal.SIGSTOP)
        noise = tree.host.config / "noise.xml"
        for _ in range(queue // 2 + 100):
            noise.touch()
            noise.unlink()
        libvirt_save(tree.host.config_of("db"), domain_xml("db", DB.uuid, "unseen"))
        daemon.signal(signal.SIGCONT)
        wait_for(lambda: linked(tree.host.config_of("db"), DB.uuid), "the save behind the overflow")
        wait_for(lambda: daemon.standing()["passed"] > passed, "a full pass")
        wait_for(lambda: clean(tree), "check is clean")


def test_without_watches_it_polls_and_says_so(make_tree: Build) -> None:
    limit = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        'echo 2 > /proc/sys/user/max_inotify_watches && exec "$@"',
        "sh",
    ]
    if subprocess.run([*limit, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    tree = make_tree(*sample(3))
    with reconciler(tree.host.root, *limit) as daemon:
        wait_for(lambda: daemon.standing().get("polling"), "it says that it polls")
        assert clean(tree)
        shown = json.loads(uuidfs(tree.host.root, "status", "--json").out)
        assert "cannot watch" in shown["reconciler"]["polling"]


def test_sighup_looks_everywhere_again(make_tree: Build) -> None:
    tree = make_tree(WEB)
    with reconciler(tree.host.root) as daemon:
        passed = daemon.standing()["passed"]
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: daemon.standing()["passed"] > passed, "another full pass")


def test_once_makes_one_pass(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    truth = facts(tree.host)
    done = uuidfs(tree.host.root, "reconcile", "--once")
    assert done.code == 0
    assert broken_promises(tree.host, truth, tree.bindings) == []
    assert uuidfs(tree.host.root, "reconcile", "--once").out == ""
    libvirt_domrename(tree.host, "web", "shop", steps=4)
    assert uuidfs(tree.host.root, "reconcile", "--once").code == 0
    assert clean(tree)


def test_status_tells_whether_it_runs(make_tree: Build) -> None:
    tree = make_tree(WEB)
    root = tree.host.root
    assert json.loads(uuidfs(root, "status", "--json").out)["reconciler"] is None
    with reconciler(root) as daemon:
        shown = json.loads(uuidfs(root, "status", "--json").out)["reconciler"]
        assert shown["pid"] == daemon.pid()
        assert "reconciler: " in uuidfs(root, "status").out
        again = uuidfs(root, "reconcile")
        assert (again.code, len(again.err.splitlines())) == (1, 1)
        daemon.end(signal.SIGKILL)
        assert json.loads(uuidfs(root, "status", "--json").out)["reconciler"] is None


def test_what_cannot_be_folded_counts_as_pending(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    root = tree.host.root
    with reconciler(root):
        wait_for(lambda: clean(tree), "all is converted")
        store = tree.host.config / "by-uuid"
        store.chmod(0o777)  # anybody's: nothing is put there
        libvirt_save(tree.host.config_of("web"), domain_xml("web", WEB.uuid, "saved"))
        wait_for(lambda: "1 pending" in uuidfs(root, "status").out, "the failing fold is told")
        store.chmod(0o755)
        wait_for(lambda: clean(tree), "it is tried again")
        wait_for(lambda: "0 pending" in uuidfs(root, "status").out, "nothing waits")


def test_it_ends_when_a_directory_is_replaced_under_its_mount(make_tree: Build) -> None:
    """As under the unit: each of libvirt's directories is a mount, all the rest is read-only."""
    tree = make_tree(WEB)
    root = tree.host.root
    names = [
        f"{root}/{name}" for name in ("etc/libvirt/qemu", "var/log/libvirt/qemu", "var/lib/libvirt")
    ]
    binds = "".join(f"mount --bind '{path}' '{path}'; " for path in (root, *names, f"{root}/run"))
    script = f"set -e; {binds} mount -o remount,bind,ro '{root}'; exec \"$@\""
    mounted = ["unshare", "-m", "sh", "-c", script, "sh"]
    (root / "run/uuidfs").mkdir(parents=True)
    if subprocess.run([*mounted, "true"], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted for one process here")
    with reconciler(root, *mounted) as daemon:
        wait_for(lambda: linked(tree.host.config_of("web"), WEB.uuid), "it works")
        config = tree.host.config
        shutil.copytree(config, config.with_name("copy"), symlinks=True)
        config.rename(config.with_name("former"))
        config.with_name("copy").rename(config)
        assert daemon.ended() == 1, "systemd starts it anew"
        assert "it was replaced" in daemon.said()


def test_revert_is_refused_while_it_would_be_undone_at_once(make_tree: Build) -> None:
    tree = make_tree(WEB)
    root = tree.host.root
    with reconciler(root):
        refused = uuidfs(root, "revert", "--all")
        assert (refused.code, refused.out, len(refused.err.splitlines())) == (1, "", 1)
        assert "stop it first" in refused.err
        assert uuidfs(root, "revert", "--all", "--dry-run").code == 0
        assert linked(tree.host.config_of("web"), WEB.uuid)
    assert uuidfs(root, "revert", "--all").code == 0
    assert not tree.host.config_of("web").is_symlink()
