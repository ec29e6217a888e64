"""The hook's file: installed, told of and removed."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import Build
from tests.support.process import REPOSITORY, uuidfs
from tests.support.trees import Tree
from tests.support.truth import fingerprint
from uuidfs.host.shipped import hook_script


def _hooks(tree: Tree) -> Path:
    return tree.host.root / "etc/libvirt/hooks"


def test_install_takes_the_free_place_and_says_that_the_daemon_needs_a_reload(
    make_tree: Build,
) -> None:
    tree = make_tree()
    assert uuidfs(tree.host.root, "hook", "status").code == 1
    done = uuidfs(tree.host.root, "hook", "install")
    assert (done.code, "reload" in done.err) == (0, True)
    installed = _hooks(tree) / "qemu"
    assert installed.stat().st_mode & 0o7777 == 0o755
    assert f"python='{sys.executable}'" in installed.read_text()
    assert uuidfs(tree.host.root, "hook", "status", "--json").json["interpreter"] == sys.executable
    again = uuidfs(tree.host.root, "hook", "install")
    assert (again.code, again.out, again.err) == (0, "", "")
    assert uuidfs(tree.host.root, "hook", "remove").code == 0
    assert sorted(_hooks(tree).iterdir()) == []
    assert uuidfs(tree.host.root, "hook", "remove").out == ""


def test_install_lives_beside_a_foreign_hook_and_never_touches_it(make_tree: Build) -> None:
    tree = make_tree()
    _hooks(tree).mkdir(parents=True)
    foreign = _hooks(tree) / "qemu"
    foreign.write_text("#!/bin/sh\nexit 0\n")
    before = fingerprint(_hooks(tree), ctime=True)["qemu"]
    assert uuidfs(tree.host.root, "hook", "install").code == 0
    assert (_hooks(tree) / "qemu.d/uuidfs").is_file()
    assert uuidfs(tree.host.root, "hook", "status", "--json").json["foreign"] == [str(foreign)]
    assert uuidfs(tree.host.root, "hook", "remove").code == 0
    assert fingerprint(_hooks(tree), ctime=True)["qemu"] == before
    (_hooks(tree) / "qemu.d").mkdir(exist_ok=True)
    (_hooks(tree) / "qemu.d/uuidfs").write_text("somebody else's")
    assert uuidfs(tree.host.root, "hook", "install").code == 1
    assert (_hooks(tree) / "qemu.d/uuidfs").read_text() == "somebody else's"


def test_the_shipped_hook_is_what_a_distro_package_needs() -> None:
    script = (REPOSITORY / "hooks/qemu").read_bytes()
    assert hook_script() == script
    assert b"\npython=/usr/bin/python3\npythonpath=\n" in script
    assert subprocess.run(["sh", "-n", REPOSITORY / "hooks/qemu"], check=False).returncode == 0


def test_remove_takes_the_directory_that_install_made_and_no_other(make_tree: Build) -> None:
    hooks = make_tree().host.root / "etc/libvirt/hooks"
    hooks.mkdir()
    (hooks / "qemu").write_text("#!/bin/sh\n# somebody else's\n")
    for others in ([], ["theirs"]):
        assert uuidfs(hooks.parents[2], "hook", "install").code == 0
        for name in others:
            (hooks / "qemu.d" / name).write_text("")
        assert uuidfs(hooks.parents[2], "hook", "remove").code == 0
        assert sorted(p.name for p in hooks.rglob("*")) == sorted(
            ["qemu", *(["qemu.d", *others] if others else [])]
        )


def test_remove_is_busy_while_any_guest_is_away(make_tree: Build) -> None:
    root = make_tree().host.root
    assert uuidfs(root, "hook", "install").code == 0
    sessions = root / "run/uuidfs/local-migration"
    sessions.mkdir(parents=True)
    session = sessions / "00000000-0000-4000-8000-000000000009.json"
    for text in ("", "garbage", '{"version": 1, "phase": "home"}'):
        session.write_text(text)
        said = uuidfs(root, "hook", "remove")
        assert (said.code, said.out) == (75, ""), said
        assert "local migration" in said.err
        assert (root / "etc/libvirt/hooks/qemu").is_file()
    session.unlink()
    (sessions / "notes.json").write_text("not a session's name")
    assert uuidfs(root, "hook", "remove").code == 0
    assert not (root / "etc/libvirt/hooks/qemu").exists()
