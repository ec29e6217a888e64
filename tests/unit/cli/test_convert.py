"""convert: what it says, what it refuses, and its locks."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import REPOSITORY, uuidfs
from tests.support.rights import root_only
from tests.support.trees import domain_xml, uuid_for
from tests.support.truth import fingerprint


def test_convert_json_lists_domains_with_what_changed(make_tree: Build) -> None:
    tree = make_tree()
    first = uuidfs(tree.host.root, "convert", "--all", "--json").json
    assert {d["name"] for d in first["domains"]} == {d.name for d in tree.domains}
    assert all(d["changed"] and d["error"] is None for d in first["domains"])
    assert str(tree.host.config_of("vm0000")) in first["domains"][1]["changed"]
    second = uuidfs(tree.host.root, "convert", "--all", "--json").json
    assert [d["changed"] for d in second["domains"]] == [[]] * 4


def test_nothing_to_do_is_silent_and_0(make_tree: Build) -> None:
    root = make_tree().host.root
    first = uuidfs(root, "convert", "--all")
    assert first.code == 0
    assert first.out.splitlines()[-1] == "4 domains converted"
    again = uuidfs(root, "convert", "--all")
    assert (again.code, again.out, again.err) == (0, "", "")


def test_a_busy_domain_is_skipped_and_named_and_the_exit_code_is_75(make_tree: Build) -> None:
    tree = make_tree()
    locks = tree.host.root / "run/uuidfs/lock"
    locks.mkdir(parents=True)
    lock = locks / f"{uuid_for('vm0001')}.lock"
    with subprocess.Popen(
        ["flock", str(lock), "sh", "-c", "echo held; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        began = time.monotonic()
        done = uuidfs(tree.host.root, "convert", "--all", "--lock-timeout", "0.3")
        assert time.monotonic() - began >= 0.3
        assert done.code == 75
        assert "vm0001: busy" in done.err
        assert not tree.host.config_of("vm0001").is_symlink()
        assert tree.host.config_of("vm0002").is_symlink()
        dry = uuidfs(tree.host.root, "convert", "--all", "--dry-run", "--lock-timeout", "0")
        assert dry.code == 0
        assert "vm0001" in dry.out
        holder.communicate()
    assert uuidfs(tree.host.root, "convert", "--all").code == 0
    assert tree.host.config_of("vm0001").is_symlink()


def test_flock_waits_while_uuidfs_holds_the_lock(make_tree: Build) -> None:
    tree = make_tree()
    from uuidfs.layout.connections import system
    from uuidfs.runtime.domain_locks import Locks

    with Locks(system(str(tree.host.root)), 0.0).hold(uuid_for("vm0000")):
        lock = tree.host.root / f"run/uuidfs/lock/{uuid_for('vm0000')}.lock"
        assert subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 1
    assert subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 0


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "not well-formed"),
        (b"<domain><name>bad</name>", "not well-formed"),
        (b"<domain><name>bad</name></domain>", "no <uuid>"),
        (b"\0\xff junk", "not well-formed"),
        (b"<network/>", "root element"),
        (domain_xml("other", uuid_for("other")), "'other'"),
    ],
)
def test_a_config_that_tells_nothing_is_left_alone_and_reported(
    make_tree: Build, data: bytes, word: str
) -> None:
    tree = make_tree()
    bad = tree.host.config_of("bad")
    bad.write_bytes(data)
    done = uuidfs(tree.host.root, "convert", "--all")
    assert done.code == 1
    assert str(bad) in done.err
    assert word in done.err
    assert bad.read_bytes() == data
    assert not bad.is_symlink()
    assert tree.host.config_of("vm0000").is_symlink()


@pytest.mark.parametrize("name", [b".", b"..", b"caf\xe9"])
def test_names_that_are_never_handled_are_refused_with_a_word_on_libvirt(
    make_tree: Build, name: bytes
) -> None:
    tree = make_tree()
    path = os.path.join(os.fsencode(tree.host.config), name + b".xml")
    with open(path, "wb") as file:
        file.write(domain_xml("x", uuid_for("x")).replace(b"<name>x<", b"<name>" + name + b"<"))
    done = uuidfs(tree.host.root, "convert", "--all")
    assert done.code == 1
    assert "libvirt" in done.err
    assert not os.path.islink(path)
    assert tree.host.config_of("vm0001").is_symlink()
    chosen = uuidfs(tree.host.root, "convert", os.fsdecode(name))
    assert chosen.code == 1
    assert "libvirt" in chosen.err


@root_only
@pytest.mark.parametrize(("uid", "mode"), [(1234, 0o700), (0, 0o770), (0, 0o707)])
def test_a_store_that_others_could_write_to_is_refused(
    make_tree: Build, uid: int, mode: int
) -> None:
    tree = make_tree()
    store = tree.host.store("config")
    store.mkdir()
    store.chmod(mode)
    os.chown(store, uid, -1)
    done = uuidfs(tree.host.root, "convert", "--all")
    assert done.code == 1
    assert str(store) in done.err
    assert not tree.host.config_of("vm0000").is_symlink()
    assert tree.host.log_of("vm0000").is_symlink()


def _plant_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _plant_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _plant_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("plant", "clean"),
    [
        (_plant_directory, lambda path: path.rmdir()),
        (_plant_fifo, lambda path: path.unlink()),
        (_plant_link, lambda path: path.unlink()),
    ],
)
def test_what_is_no_file_at_a_logs_name_is_reported_and_the_others_go_on(
    make_tree: Build, plant: Callable[[Path], None], clean: Callable[[Path], None]
) -> None:
    tree = make_tree()
    path = tree.host.log_of("vm0001")
    plant(path)
    before = fingerprint(tree.host.log)[path.name]
    done = uuidfs(tree.host.root, "convert", "--all")
    assert done.code == 1
    assert str(path) in done.err
    assert fingerprint(tree.host.log)[path.name] == before
    assert tree.host.config_of("vm0001").is_symlink()
    assert tree.host.config_of("vm0002").is_symlink()
    clean(path)
    assert uuidfs(tree.host.root, "convert", "--all").code == 0


@root_only
def test_another_file_system_under_the_store_is_refused_and_nothing_is_copied(
    make_tree: Build,
) -> None:
    tree = make_tree()
    store = tree.host.root / "var/lib/libvirt/by-uuid"
    store.mkdir()
    mounted = [
        "unshare",
        "-m",
        "sh",
        "-c",
        f"mount -t tmpfs -o mode=755 none '{store}' && exec \"$@\"",
        "sh",
    ]
    probe = subprocess.run([*mounted, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:  # in a plain chroot, say
        pytest.skip(f"nothing can be mounted for one process here: {probe.stderr.strip()}")
    done = subprocess.run(
        [*mounted, sys.executable, "-m", "uuidfs", "--root", tree.host.root, "convert", "--all"],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )
    assert done.returncode == 1
    assert "EXDEV" in done.stderr
    assert tree.host.config_of("vm0000").is_symlink()
    assert not (tree.host.snapshot / "vm0000/base.xml").is_symlink()
    assert sorted(store.iterdir()) == []
