"""Sessions and peer UUIDs: one lock for a domain and its peer, and nobody else's hands on it."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_save
from tests.support.process import uuidfs
from tests.support.trees import Domain, domain_xml, uuid_for
from uuidfs import localmigration as lm
from uuidfs.errors import Busy
from uuidfs.host import hook_file
from uuidfs.localmigration import Locks, Session
from uuidfs.localmigration.domain_xml import with_token

WEB = Domain("web", uuid_for("web"), snapshots=("s1",))
DB = Domain("db", uuid_for("db"))


def begun(layout: lm.Layout, uuid: str, name: str, pid: int | None = None) -> Session:
    with Locks(layout, 0.0).hold(uuid):
        return lm.begin(layout, uuid, name, pid=pid or os.getpid(), tool="test")


def hook(root: Path, name: str, operation: str, xml: bytes) -> "subprocess.CompletedProcess[str]":
    """Call the hook as ``uuidfs hook install`` writes it."""
    program = root.parent / "hook"
    program.write_bytes(hook_file.rendered())
    program.chmod(0o755)
    return subprocess.run(
        [program, name, operation, "begin", "-"],
        input=xml.decode(),
        text=True,
        check=False,
        capture_output=True,
        cwd="/",
        env={"PATH": os.environ["PATH"], "UUIDFS_ROOT": str(root)},
    )


def test_a_peer_is_its_domain(make_tree: Build) -> None:
    layout = lm.system(str(make_tree(WEB).host.root))
    real = "00000000-0000-4000-8000-000000000001"
    peer = lm.peer_uuid(layout, real)
    assert peer != real
    assert lm.peer_uuid(layout, real) == peer, "the same for the whole boot"
    assert lm.exchanged(peer, lm.make_migration_uuid(layout)) == real
    session = begun(layout, real, "a")
    assert (session.peer_uuid, session.peer_name) == (peer, "a-incoming")
    assert lm.real_uuid(layout, peer) == real
    with (
        Locks(layout, 0.0, owner=True).hold(peer),
        pytest.raises(Busy),
        Locks(layout, 0.0, owner=True).hold(real),
    ):
        pass


def test_a_peers_files_have_room_for_their_names(make_tree: Build) -> None:
    layout = lm.system(str(make_tree(WEB).host.root))
    for name in ("x" * 240, "\u865a" * 80):
        session = begun(layout, WEB.uuid, name)
        assert len(os.fsencode(f"{session.peer_name}.xml.new")) <= 255
        lm.end(layout, session)


def test_nobody_but_the_owner_touches_a_domain_in_a_session(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    layout = lm.system(str(tree.host.root))
    name, uuid, other = WEB.name, WEB.uuid, DB.name
    assert uuidfs(tree.host.root, "convert", "--all").code == 0
    session = begun(layout, uuid, name)
    config = tree.host.config_of(name)
    for changed in (name, other):
        libvirt_save(
            tree.host.config_of(changed), domain_xml(changed, tree.bindings[changed], "new")
        )
    for words in (("convert", "--all"), ("revert", name), ("check", "--repair")):
        said = uuidfs(tree.host.root, *words, "--lock-timeout", "0")
        assert not config.is_symlink(), f"{words} touched it"
        assert said.code in {75, 3}, words
    assert tree.host.config_of(other).is_symlink(), "the other one is not in a session"
    assert "local migration (phase begin" in uuidfs(tree.host.root, "convert", name).err
    with pytest.raises(lm.InSession):
        begun(layout, uuid, name)
    lm.end(layout, session)
    assert uuidfs(tree.host.root, "convert", "--all").code == 0
    assert config.is_symlink()


@pytest.mark.parametrize("phase", lm.PHASES)
def test_the_interlock(make_tree: Build, phase: str) -> None:
    tree = make_tree(WEB, DB)
    layout = lm.system(str(tree.host.root))
    name, uuid, other, other_uuid = WEB.name, WEB.uuid, DB.name, DB.uuid
    session = lm.change(layout, begun(layout, uuid, name), phase=phase)
    away = phase in lm.AWAY
    xml = domain_xml(name, uuid)
    refused = hook(tree.host.root, name, "prepare", xml)
    assert (refused.returncode, refused.stdout) == (int(away), "")
    assert ("--recover" in refused.stderr) is away
    assert not tree.host.config_of(name).is_symlink(), "its owner converts it"
    # libvirt's "migrate" tells nothing: a start may come between it and the way home.
    assert hook(tree.host.root, name, "migrate", xml).returncode == 0
    assert hook(tree.host.root, name, "prepare", xml).returncode == int(away)
    # The way home carries the session's token; that of another session is worth nothing.
    home = with_token(xml.decode(), session.token).encode()
    assert hook(tree.host.root, name, "prepare", home).returncode == 0
    foreign = with_token(xml.decode(), lm.new_token()).encode()
    assert hook(tree.host.root, name, "prepare", foreign).returncode == int(away)
    # Another domain is converted as ever: it gets its XML from the shell.
    assert hook(tree.host.root, other, "prepare", domain_xml(other, other_uuid)).returncode == 0
    assert tree.host.config_of(other).is_symlink()
    for operation in ("start", "started", "stopped", "release", "reconnect", "restore"):
        assert hook(tree.host.root, name, operation, xml).returncode == 0, operation
    lm.end(layout, session)
    assert hook(tree.host.root, name, "prepare", xml).returncode == 0
    assert tree.host.config_of(name).is_symlink()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 1),
        ("{", 1),
        ("no JSON\n", 1),
        ('{"phase":"peer","token":""}', 1),
        ('{"token":"","phase":"peer"}', 1),
        ('{\n  "phase": "out",\n  "name": "\\"phase\\": \\"begin\\""\n}\n', 1),
        ('{"phase":"begin"}', 0),
        ('{\n\t"phase"  :\n "home"\n}', 0),
    ],
)
def test_the_interlock_fails_closed(make_tree: Build, text: str, code: int) -> None:
    tree = make_tree(WEB)
    layout = lm.system(str(tree.host.root))
    begun(layout, WEB.uuid, WEB.name)
    (tree.host.root / f"run/uuidfs/local-migration/{WEB.uuid}.json").write_text(text)
    done = hook(tree.host.root, WEB.name, "prepare", domain_xml(WEB.name, WEB.uuid))
    assert done.returncode == code, done


def test_a_session_of_a_dead_owner_stays_and_can_be_ended(make_tree: Build) -> None:
    tree = make_tree(WEB)
    name, uuid = WEB.name, WEB.uuid
    layout = lm.system(str(tree.host.root))
    assert uuidfs(tree.host.root, "convert", "--all").code == 0
    with subprocess.Popen(["sleep", "600"]) as owner:
        begun(layout, uuid, name, owner.pid)
        libvirt_save(tree.host.config_of(name), domain_xml(name, uuid, "new"))
        assert lm.all_sessions(layout)[0].alive
        assert uuidfs(tree.host.root, "session", "phase", name, "out").code == 1
        owner.kill()
    assert not lm.all_sessions(layout)[0].alive
    assert uuidfs(tree.host.root, "convert", "--all", "--lock-timeout", "0").code == 75
    listed = uuidfs(tree.host.root, "session", "list")
    assert f"{name}  begin  pid {owner.pid} (dead)  test" in listed.out
    assert uuidfs(tree.host.root, "session", "end", name).code == 0
    assert tree.host.config_of(name).is_symlink(), "caught up"
    assert uuidfs(tree.host.root, "session", "end", name).code == 1


def test_a_session_that_cannot_be_read_holds_all_the_same(make_tree: Build) -> None:
    tree = make_tree(WEB)
    name, uuid = WEB.name, WEB.uuid
    layout = lm.system(str(tree.host.root))
    begun(layout, uuid, name)
    path = tree.host.root / f"run/uuidfs/local-migration/{uuid}.json"
    path.write_text('{"phase": "out", ')
    said = uuidfs(tree.host.root, "convert", name)
    assert said.code == 75
    assert "cannot be read" in said.err
    assert hook(tree.host.root, name, "prepare", domain_xml(name, uuid)).returncode == 1


def test_lock_runs_a_command_with_the_lock_held(make_tree: Build) -> None:
    tree = make_tree(WEB)
    name, uuid = WEB.name, WEB.uuid
    lock = tree.host.root / f"run/uuidfs/lock/{uuid}.lock"
    inside = uuidfs(tree.host.root, "lock", name, "--", "flock", "--nonblock", str(lock), "true")
    assert inside.code == 1, "it is held"
    assert (
        uuidfs(
            tree.host.root,
            "lock",
            uuid,
            "--timeout",
            "1",
            "--",
            "sh",
            "-c",
            "exit 7",
        ).code
        == 7
    )
    assert uuidfs(tree.host.root, "lock", name, "--", "/no/such/program").code == 2
    with Locks(lm.system(str(tree.host.root)), 0.0).hold(uuid):
        assert uuidfs(tree.host.root, "lock", name, "--timeout", "0.1", "--", "true").code == 75
