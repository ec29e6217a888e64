import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_domrename, libvirt_save
from tests.support.process import REPOSITORY, uuidfs
from tests.support.trees import Domain, Tree, build, domain_xml, sample, uuid_for
from tests.support.truth import changes, fingerprint, trashed

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes files of other users")


@pytest.mark.parametrize(
    "arguments",
    [
        ("convert",),
        ("revert",),
        ("convert", "web", "--all"),
        ("nonsense",),
        ("convert", "--bogus"),
        ("convert", "--all", "--lock-timeout", "soon"),
        ("convert", "--all", "--lock-timeout", "-1"),
        ("--connect", "xen:///", "status"),
        ("path",),
        ("path", "vm0000", "--kind", "disk"),
        ("--connect", "qemu:///system", "status"),
        ("hook", "nonsense"),
    ],
)
def test_bad_usage_is_one_line_on_stderr_and_exit_code_2(
    make_tree: Build, arguments: tuple[str, ...]
) -> None:
    done = uuidfs(make_tree().host.root, *arguments)
    assert done.code == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 1


def test_a_root_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    done = uuidfs(tmp_path / "nowhere", "status")
    assert (done.code, len(done.err.splitlines())) == (2, 1)


def test_errors_are_json_when_json_is_asked_for(make_tree: Build) -> None:
    root = make_tree().host.root
    for arguments, code in (
        (("convert", "--json"), 2),
        (("convert", "nobody", "--json"), 1),
        (("status", "nobody", "--json"), 1),
        (("convert", "--json", "--bogus"), 2),
    ):
        done = uuidfs(root, *arguments)
        assert (done.code, done.err) == (code, "")
        assert done.json["version"] == 1
        assert done.json["exit_code"] == code
        assert done.json["error"]


def test_root_and_connect_are_taken_before_and_behind_the_command(make_tree: Build) -> None:
    root = make_tree().host.root
    before = uuidfs(root, "status", "--json")
    behind = uuidfs(None, "status", "--root", os.fspath(root), "--json")
    assert before == behind
    assert len(before.json["domains"]) == 4


def test_status_json_is_what_the_issue_promises(make_tree: Build) -> None:
    tree = make_tree()
    plain = uuidfs(tree.host.root, "status", "--json").json
    assert plain["version"] == 1
    assert {d["state"] for d in plain["domains"]} == {"plain"}
    uuidfs(tree.host.root, "convert", "vm0000")
    domains = {d["name"]: d for d in uuidfs(tree.host.root, "status", "--json").json["domains"]}
    assert {name: d["state"] for name, d in domains.items()} == {
        "vm0000": "converted",
        "vm0001": "plain",
        "vm0002": "plain",
        "passing": "plain",
    }
    assert domains["vm0000"]["uuid"] == uuid_for("vm0000")
    config = domains["vm0000"]["files"][0]
    assert config == {
        "kind": "config",
        "name_path": str(tree.host.config_of("vm0000")),
        "uuid_path": f"{tree.host.store('config')}/{uuid_for('vm0000')}.xml",
        "state": "converted",
    }
    tree.host.config_of("vm0000").unlink()
    tree.host.config_of("vm0000").write_bytes(domain_xml("vm0000", uuid_for("vm0000"), "newer"))
    again = uuidfs(tree.host.root, "status", "vm0000", "--json").json["domains"]
    assert [d["state"] for d in again] == ["partial"]
    assert again[0]["files"][0]["state"] == "stale"


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


def test_names_and_uuids_are_accepted_everywhere(make_tree: Build) -> None:
    root = make_tree().host.root
    uuid = uuid_for("vm0001")
    for name in ("vm0001", uuid, uuid.upper(), uuid.replace("-", "")):
        assert uuidfs(root, "path", name).out == (f"{root}/etc/libvirt/qemu/by-uuid/{uuid}.xml\n")
        assert [d["name"] for d in uuidfs(root, "status", name, "--json").json["domains"]] == [
            "vm0001"
        ]
        assert uuidfs(root, "convert", name).code == 0
        assert uuidfs(root, "revert", name).code == 0


def test_a_name_that_is_another_domains_uuid_means_that_other_domain(make_tree: Build) -> None:
    tree = make_tree(Domain("web", uuid_for("web")), Domain(uuid_for("web"), uuid_for("odd")))
    done = uuidfs(tree.host.root, "status", uuid_for("web"), "--json").json
    assert [d["name"] for d in done["domains"]] == ["web"]  # as virsh does it
    done = uuidfs(tree.host.root, "status", uuid_for("odd"), "--json").json
    assert [d["name"] for d in done["domains"]] == [uuid_for("web")]


@pytest.mark.parametrize("kind", ["config", "log", "snapshot", "checkpoint"])
def test_path_prints_where_the_files_really_are(make_tree: Build, kind: str) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    path = Path(uuidfs(tree.host.root, "path", "vm0000", "--kind", kind).out.rstrip("\n"))
    assert path.exists()
    assert not path.is_symlink()


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


def test_check_is_clean_on_a_plain_host_and_finds_and_repairs_a_half_done_one(
    make_tree: Build,
) -> None:
    tree = make_tree()
    assert uuidfs(tree.host.root, "check").code == 0
    uuidfs(tree.host.root, "convert", "--all")
    assert uuidfs(tree.host.root, "check").out == ""
    (tree.host.store("config") / f"{uuid_for('vm0001')}~link").symlink_to("nowhere")
    stale = tree.host.config_of("vm0000")
    stale.unlink()
    stale.write_bytes(domain_xml("vm0000", uuid_for("vm0000"), "newer"))
    found = uuidfs(tree.host.root, "check", "--json")
    assert found.code == 3
    assert {f["repairable"] for f in found.json["findings"]} == {True}
    assert str(stale) in {f["path"] for f in found.json["findings"]}
    assert uuidfs(tree.host.root, "check", "--repair").code == 0
    assert stale.is_symlink()
    assert uuidfs(tree.host.root, "check").code == 0


def test_check_tells_a_damaged_store(make_tree: Build) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    stored = tree.host.store("config") / f"{uuid_for('vm0001')}.xml"
    stored.chmod(0o600)
    stored.write_bytes(domain_xml("vm0001", uuid_for("somebody")))
    done = uuidfs(tree.host.root, "check")
    assert done.code == 3
    assert str(stored) in done.out


def test_an_empty_host_and_a_host_without_libvirt_are_in_order(tmp_path: Path) -> None:
    for command in (("convert", "--all"), ("status",), ("check",), ("revert", "--all")):
        done = uuidfs(tmp_path, *command)
        assert (done.code, done.err) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_embed_uses_its_own_directories(tmp_path: Path) -> None:
    tree = build(tmp_path / "host", sample(1))
    root = tmp_path / "embed"
    for source, target in (
        (tree.host.config, "etc/qemu"),
        (tree.host.log, "log/qemu"),
        (tree.host.lib, "lib/qemu"),
        (tree.host.status, "run/qemu"),
    ):
        shutil.copytree(source, root / target, symlinks=True)
    for path in (root / "lib").rglob("*"):
        os.chown(path, os.geteuid(), -1)
    uri = f"qemu:///embed?root={root}"
    assert uuidfs(None, "--connect", uri, "convert", "--all").code == 0
    assert (root / "etc/qemu/vm0000.xml").is_symlink()
    snapshot = root / "lib/qemu/snapshot/vm0000/base.xml"
    assert snapshot.resolve() == root / f"lib/by-uuid/snapshot/{uuid_for('vm0000')}/base.xml"
    assert uuidfs(None, "--connect", uri, "check").code == 0
    assert uuidfs(None, "--connect", uri, "revert", "--all").code == 0
    assert not snapshot.is_symlink()


def test_session_uses_the_users_directories(tmp_path: Path) -> None:
    config = tmp_path / ".config/libvirt/qemu"
    config.mkdir(parents=True)
    (config / "web.xml").write_bytes(domain_xml("web", uuid_for("web")))
    (tmp_path / "run").mkdir()
    env = {
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "XDG_CONFIG_HOME": "",
        "XDG_CACHE_HOME": "",
    }
    done = uuidfs(None, "--connect", "qemu:///session", "convert", "web", env=env)
    assert done.code == 0, done.err
    assert os.readlink(config / "web.xml") == f"by-uuid/{uuid_for('web')}.xml"


def _rename_cut_in_half(tree: Tree) -> None:
    libvirt_domrename(tree.host, "vm0000", "renamed", steps=4)


def test_a_rename_in_flight_is_not_touched_and_repair_finishes_it(make_tree: Build) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    _rename_cut_in_half(tree)
    before = fingerprint(tree.host.root)
    done = uuidfs(tree.host.root, "convert", "--all")
    assert done.code == 1
    assert "check --repair" in done.err
    assert fingerprint(tree.host.root) == before
    states = {
        d["state"]
        for d in uuidfs(tree.host.root, "status", "--json").json["domains"]
        if d["uuid"] == uuid_for("vm0000")
    }
    assert states == {"conflict"}
    assert uuidfs(tree.host.root, "check").code == 3
    assert uuidfs(tree.host.root, "check", "--repair").code == 0
    assert not tree.host.config_of("vm0000").is_symlink()
    assert not tree.host.config_of("vm0000").exists()
    assert b"<name>renamed<" in tree.host.config_of("renamed").read_bytes()
    assert tree.host.config_of("renamed").is_symlink()
    assert sorted(p.name for p in (tree.host.snapshot / "renamed").iterdir()) == [
        "base.xml",
        "before upgrade.xml",
    ]
    assert sorted(p.name for p in (tree.host.checkpoint / "renamed").iterdir()) == ["chk1.xml"]
    assert not (tree.host.snapshot / "vm0000").exists()
    assert not (tree.host.autostart / "vm0000.xml").is_symlink()
    assert tree.host.log_of("renamed").is_symlink()


def test_revert_of_a_rename_cut_in_half_gives_the_plain_hosts_state(make_tree: Build) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    _rename_cut_in_half(tree)
    uuidfs(tree.host.root, "revert", "--all")
    for name in ("vm0000", "renamed"):
        assert not tree.host.config_of(name).is_symlink()
        assert f"<name>{name}<".encode() in tree.host.config_of(name).read_bytes()
    assert (tree.host.snapshot / "vm0000/base.xml").is_file()
    assert not (tree.host.snapshot / "vm0000/base.xml").is_symlink()


@pytest.mark.parametrize(
    "command",
    [("convert", "--all"), ("revert", "--all"), ("check", "--repair"), ("reconcile", "--once")],
)
def test_a_rename_killed_in_its_clean_up_leaves_no_snapshot_to_who_takes_the_old_name(
    make_tree: Build, command: tuple[str, ...]
) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    _rename_cut_in_half(tree)
    tree.host.config_of("vm0000").unlink()  # the first call of the fifth step, then the kill
    states = {
        f["state"]
        for d in uuidfs(tree.host.root, "status", "--json").json["domains"]
        if d["uuid"] == uuid_for("vm0000")
        for f in d["files"]
    }
    assert "stray" in states
    assert uuidfs(tree.host.root, "check").code == 3
    assert uuidfs(tree.host.root, *command).code == 0
    assert list((tree.host.snapshot / "vm0000").iterdir()) == []
    assert (tree.host.snapshot / "renamed/base.xml").is_file()
    if command[0] == "revert":  # what a plain host has at this point, and nothing else
        left = tree.host.checkpoint / "vm0000/chk1.xml"
        assert left.is_file()
        assert not left.is_symlink()
        assert trashed(tree.host) == []
    else:
        assert list((tree.host.checkpoint / "vm0000").iterdir()) == []
        assert uuidfs(tree.host.root, "check").code == 0


@pytest.mark.parametrize("kind", ["snapshot", "checkpoint"])
def test_a_directory_that_somebody_moved_keeps_its_files_and_can_be_moved_back(
    make_tree: Build, kind: str
) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    before = fingerprint(tree.host.root)
    there = tree.host.lib / kind / "vm0000"
    aside = there.with_name("vm0000.bak")
    there.rename(aside)
    for _ in range(2):
        done = uuidfs(tree.host.root, "convert", "--all")
        assert done.code == 1
        assert "vm0000.bak" in done.err
        assert "give the directory its name back" in done.err
    assert uuidfs(tree.host.root, "check").code == 3
    aside.rename(there)
    assert changes(before, fingerprint(tree.host.root)) == []
    assert uuidfs(tree.host.root, "check").code == 0


def test_the_log_goes_on_where_a_start_without_the_hook_and_a_new_domain_were_faster(
    make_tree: Build,
) -> None:
    tree = make_tree(Domain("web", uuid_for("web")))
    host = tree.host
    old = host.log_of("web").read_bytes()
    uuidfs(host.root, "convert", "--all")
    libvirt_domrename(host, "web", "shop")
    host.log_of("shop").write_bytes(b"newer\n")
    libvirt_save(host.config_of("web"), domain_xml("web", uuid_for("newcomer")))
    assert uuidfs(host.root, "convert", "--all").code == 0
    assert host.log_of("shop").read_bytes() == b"newer\n"
    logs = [path.read_bytes() for path in host.log.glob("shop.log.*")]
    assert logs.count(old) == 1
    assert trashed(host) == []
    assert uuidfs(host.root, "check").code == 0


def test_revert_of_a_directory_that_somebody_moved_leaves_plain_files_in_it(
    make_tree: Build,
) -> None:
    tree = make_tree()
    before = fingerprint(tree.host.snapshot / "vm0000")
    uuidfs(tree.host.root, "convert", "--all")
    (tree.host.snapshot / "vm0000").rename(tree.host.snapshot / "aside")
    assert uuidfs(tree.host.root, "revert", "--all").code == 0
    assert changes(before, fingerprint(tree.host.snapshot / "aside")) == []
    assert trashed(tree.host) == []


@root_only
def test_a_status_file_that_qemus_user_planted_binds_no_name(make_tree: Build) -> None:
    tree = make_tree()
    status = tree.host.status / "passing.xml"
    os.chown(tree.host.status, 64055, -1)  # as libvirt 11 has it
    assert uuidfs(tree.host.root, "status", "passing").code == 0
    os.chown(status, 64055, -1)
    assert uuidfs(tree.host.root, "status", "passing").code == 1
