"""The reconciler as a process, on a tree that changes as libvirt changes it."""

import json
import os
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import (
    Libvirtd,
    finish,
    libvirt_clean_up,
    libvirt_domrename,
    libvirt_save,
    virtlogd_rollover,
)
from tests.support.process import Daemon, reconciler, uuidfs, wait_for
from tests.support.trees import Domain, Tree, domain_xml, sample, snapshot_xml, uuid_for
from tests.support.truth import broken_promises, facts, trashed

WEB = Domain("web", uuid_for("web"), autostart=True, snapshots=("s1", "s2"), checkpoints=("c1",))
DB = Domain("db", uuid_for("db"), snapshots=("s1",))


def clean(tree: Tree) -> bool:
    """Whether check finds nothing."""
    return uuidfs(tree.host.root, "check", "--json").code == 0


def began(daemon: Daemon) -> float:
    """When its last full pass began."""
    state = daemon.standing()
    return float(state["passed"] - state["took"])


def linked(path: Path, uuid: str) -> bool:
    return path.is_symlink() and uuid in os.readlink(path) and path.exists()


def test_it_converts_what_is_there_and_ends_by_sigterm(make_tree: Build) -> None:
    tree = make_tree(*sample(3))
    truth = facts(tree.host)
    with reconciler(tree.host.root) as daemon:
        assert broken_promises(tree.host, truth, tree.bindings) == []
        assert daemon.end(signal.SIGTERM) == 0


def test_a_save_is_folded_within_milliseconds(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    path = tree.host.config_of("web")
    took = []
    with reconciler(tree.host.root):
        for number in range(20):
            data = domain_xml("web", WEB.uuid, f"save {number}")
            libvirt_save(path, data)
            began = time.monotonic()
            wait_for(path.is_symlink, "the link is back")
            took.append(time.monotonic() - began)
            assert path.read_bytes() == data
            time.sleep(0.02)
    assert min(took) < 0.2, took  # on a busy machine some take longer


def test_the_last_of_many_saves_stays(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    with reconciler(tree.host.root):
        for number in range(300):
            for name, uuid in (("web", WEB.uuid), ("db", DB.uuid)):
                data = domain_xml(name, uuid, f"save {number}")
                libvirt_save(tree.host.config_of(name), data, sync=False)
                assert tree.host.config_of(name).read_bytes() == data
        for name, uuid in (("web", WEB.uuid), ("db", DB.uuid)):
            wait_for(partial(linked, tree.host.config_of(name), uuid), "links")
            assert tree.host.config_of(name).read_bytes() == domain_xml(name, uuid, "save 299")
    assert trashed(tree.host) == []


def test_rename_moves_everything_and_the_log_goes_on(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    history = tree.host.log_of("web").read_bytes()
    with reconciler(tree.host.root):
        libvirt_domrename(tree.host, "web", "shop")
        wait_for(lambda: linked(tree.host.log_of("shop"), WEB.uuid), "the log's new name")
        wait_for(lambda: clean(tree), "check is clean")
    assert tree.host.log_of("shop").read_bytes() == history
    assert not os.path.lexists(tree.host.log_of("web"))
    for path in (
        tree.host.config_of("shop"),
        tree.host.snapshot / "shop/s1.xml",
        tree.host.snapshot / "shop/s2.xml",
    ):
        assert linked(path, WEB.uuid), path
    # libvirt wrote it into snapshot/shop: put right before the daemon restarts.
    assert linked(tree.host.checkpoint / "shop/c1.xml", WEB.uuid)
    assert not os.path.lexists(tree.host.snapshot / "shop/c1.xml")


def test_swapped_names_and_a_new_domain_under_an_old_name_at_once(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    new = uuid_for("new")
    logs = {name: tree.host.log_of(name).read_bytes() for name in ("web", "db")}
    with reconciler(tree.host.root):
        libvirtd = Libvirtd(tree.host)
        for old, name in (("web", "tmp"), ("db", "web"), ("tmp", "db")):
            finish(libvirtd.rename(old, name))
        wait_for(lambda: clean(tree), "check is clean after the swap")
        assert linked(tree.host.config_of("web"), DB.uuid)
        assert linked(tree.host.config_of("db"), WEB.uuid)
        assert tree.host.log_of("web").read_bytes() == logs["db"]
        assert tree.host.log_of("db").read_bytes() == logs["web"]
        libvirt_domrename(tree.host, "web", "old")
        libvirt_clean_up(tree.host, "web")
        libvirt_save(tree.host.config_of("web"), domain_xml("web", new))
        wait_for(lambda: linked(tree.host.config_of("web"), new), "the new domain's link")
        wait_for(lambda: linked(tree.host.log_of("old"), DB.uuid), "the old one's log")
        wait_for(lambda: clean(tree), "check is clean")
        assert not os.path.lexists(tree.host.log_of("web")), "a stranger's log"


def test_undefine_goes_to_the_trash_and_the_log_stays(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    with reconciler(tree.host.root):
        libvirt_clean_up(tree.host, "web")
        wait_for(lambda: len(trashed(tree.host)) == 4, "config, snapshots, checkpoint in the trash")
        wait_for(lambda: clean(tree), "check is clean")
        assert linked(tree.host.log_of("web"), WEB.uuid)
        assert not os.path.lexists(tree.host.config_of("web")), "libvirt removed it"


def test_a_taken_names_log_is_settled_before_its_config(make_tree: Build) -> None:
    # The hook starts nothing when both are links: the new domain's log would be the old one's.
    tree = make_tree(WEB, DB)
    config, log = tree.host.config_of("web"), tree.host.log_of("web")
    with reconciler(tree.host.root):
        libvirt_clean_up(tree.host, "web")
        wait_for(lambda: len(trashed(tree.host)) == 4, "the old domain is in the trash")
        assert linked(log, WEB.uuid)
        libvirt_save(config, domain_xml("web", uuid_for("new")))
        wait_for(config.is_symlink, "the new config is a link")
        assert not log.is_symlink() or WEB.uuid not in os.readlink(log)
        wait_for(lambda: clean(tree), "check finds nothing")


def test_a_log_without_a_name_is_seen_when_its_domain_comes_back(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    with reconciler(tree.host.root):
        libvirt_clean_up(tree.host, "web")
        wait_for(lambda: len(trashed(tree.host)) == 4, "the old domain is in the trash")
        for link in tree.host.log.glob("web.log*"):
            link.unlink()  # as another domain of that name takes it, and is undefined
        wait_for(lambda: clean(tree), "check is clean")
        libvirt_save(tree.host.config_of("shop"), domain_xml("shop", WEB.uuid))
        wait_for(tree.host.config_of("shop").is_symlink, "the config is a link")
        wait_for(lambda: clean(tree), "check is clean")


def test_snapshots_come_and_go(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    directory = tree.host.snapshot / "web"
    with reconciler(tree.host.root):
        libvirt_save(directory / "s3.xml", snapshot_xml("s3", "web", WEB.uuid))
        wait_for(lambda: linked(directory / "s3.xml", WEB.uuid), "a new snapshot's link")
        (directory / "s1.xml").unlink()
        wait_for(lambda: [path.name for path in trashed(tree.host)] == ["s1.xml"], "the trash")
        finish(Libvirtd(tree.host).delete_tree(directory))
        directory.mkdir()
        libvirt_save(directory / "s4.xml", snapshot_xml("s4", "web", WEB.uuid))
        wait_for(lambda: linked(directory / "s4.xml", WEB.uuid), "in a new directory")
        wait_for(lambda: clean(tree), "check is clean")
    assert sorted(p.name for p in trashed(tree.host)) == ["s1.xml", "s2.xml", "s3.xml"]


def test_several_rollovers_between_two_looks(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    with reconciler(tree.host.root):
        for number in range(3):
            virtlogd_rollover(tree.host, "web", b"log %d\n" % number)
        wait_for(
            lambda: all(
                linked(tree.host.log_of("web", s), WEB.uuid) for s in ("", ".0", ".1", ".2")
            ),
            "links of all rotations",
        )
        wait_for(lambda: clean(tree), "check is clean")
    assert [tree.host.log_of("web", s).read_bytes() for s in ("", ".0", ".1")] == [
        b"log 2\n",
        b"log 1\n",
        b"log 0\n",
    ]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_rename_that_was_cut_in_half_is_finished(make_tree: Build, steps: int) -> None:
    tree = make_tree(WEB, DB)
    with reconciler(tree.host.root):
        libvirt_domrename(tree.host, "web", "shop", steps=steps)
        wait_for(lambda: clean(tree), "one domain, one name")
        there = {name for name in ("web", "shop") if tree.host.config_of(name).exists()}
        assert len(there) == 1
        assert linked(tree.host.config_of(there.pop()), WEB.uuid)


def test_a_rename_in_flight_is_left_alone(make_tree: Build) -> None:
    tree = make_tree(WEB)
    with reconciler(tree.host.root) as daemon:
        libvirt_domrename(tree.host, "web", "shop", steps=4)
        written = time.time()
        wait_for(lambda: began(daemon) > written, "a full pass that sees both names")
        assert tree.host.config_of("web").exists()
        assert not tree.host.config_of("shop").is_symlink()
        libvirt_clean_up(tree.host, "web")  # step 5
        wait_for(lambda: linked(tree.host.config_of("shop"), WEB.uuid), "folded")
        assert "finish-rename" not in daemon.said()


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


def test_a_busy_domain_is_left_for_later(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    lock = tree.host.root / f"run/uuidfs/lock/{WEB.uuid}.lock"
    with (
        reconciler(tree.host.root),
        subprocess.Popen(
            ["flock", os.fspath(lock), "-c", "echo held; read x"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as holder,
    ):
        assert holder.stdout is not None
        holder.stdout.readline()
        libvirt_save(tree.host.config_of("web"), domain_xml("web", WEB.uuid, "busy"))
        libvirt_save(tree.host.config_of("db"), domain_xml("db", DB.uuid, "free"))
        wait_for(lambda: linked(tree.host.config_of("db"), DB.uuid), "the other one")
        time.sleep(0.3)
        assert not tree.host.config_of("web").is_symlink()
        holder.communicate(b"\n")
        wait_for(lambda: linked(tree.host.config_of("web"), WEB.uuid), "once it is free")


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
