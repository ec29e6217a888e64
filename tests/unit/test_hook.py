import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import PATIENCE, REPOSITORY, uuidfs
from tests.support.trees import Domain, Tree, domain_xml, uuid_for
from tests.support.truth import broken_promises, facts, fingerprint
from uuidfs.host import hook_file
from uuidfs.host.shipped import hook_script

OPERATIONS = [
    "prepare",
    "start",
    "started",
    "stopped",
    "release",
    "restore",
    "migrate",
    "reconnect",
    "attach",
]


@pytest.fixture
def hook(tmp_path: Path) -> Path:
    """The hook as ``uuidfs hook install`` writes it for the interpreter of the tests."""
    path = tmp_path / "hook"
    path.write_bytes(hook_file.rendered())
    path.chmod(0o755)
    return path


def call(
    hook: Path,
    tree: Tree,
    name: str,
    operation: str = "prepare",
    data: bytes | None = None,
    **env: str,
) -> float:
    """Call the hook as libvirt does; it must be silent and exit 0. Returns seconds."""
    if data is None:
        data = domain_xml(name, dict(tree.bindings)[name])
    suboperation = "end" if operation in {"stopped", "release"} else "begin"
    began = time.monotonic()
    done = subprocess.run(
        [hook, name, operation, suboperation, "-"],
        input=data,
        capture_output=True,
        check=False,
        env={
            "LC_ALL": "C",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "UUIDFS_ROOT": str(tree.host.root),
            **env,
        },
        cwd="/",
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    return time.monotonic() - began


def test_prepare_converts_the_one_domain_and_no_other(hook: Path, make_tree: Build) -> None:
    tree = make_tree()
    truth = facts(tree.host)
    call(hook, tree, "vm0000")
    assert broken_promises(tree.host, truth, {"vm0000": uuid_for("vm0000")}) == []
    assert not tree.host.config_of("vm0001").is_symlink()


def test_the_logs_link_is_there_before_the_first_log(hook: Path, make_tree: Build) -> None:
    tree = make_tree(Domain("new", uuid_for("new"), log_suffixes=()))
    call(hook, tree, "new")
    assert os.readlink(tree.host.log_of("new")) == f"by-uuid/{uuid_for('new')}.log"
    tree.host.log_of("new").write_text("virtlogd opens with O_CREAT\n")
    assert (tree.host.store("log") / f"{uuid_for('new')}.log").read_text() != ""
    assert uuidfs(tree.host.root, "check").code == 0


def test_a_dangling_link_is_taken_back_by_revert(hook: Path, make_tree: Build) -> None:
    tree = make_tree(Domain("new", uuid_for("new"), log_suffixes=()))
    before = fingerprint(tree.host.root)
    call(hook, tree, "new")
    assert uuidfs(tree.host.root, "revert", "--all").code == 0
    assert fingerprint(tree.host.root) == before


def test_a_transient_domain_is_known_by_the_xml_on_stdin(hook: Path, make_tree: Build) -> None:
    tree = make_tree()
    call(hook, tree, "fresh", data=domain_xml("fresh", uuid_for("fresh")))
    assert os.readlink(tree.host.log_of("fresh")) == f"by-uuid/{uuid_for('fresh')}.log"


def test_a_new_domain_never_writes_into_the_log_of_an_undefined_one(
    hook: Path, make_tree: Build
) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    old = tree.host.store("log") / f"{uuid_for('vm0001')}.log"
    content = old.read_bytes()
    tree.host.config_of("vm0001").unlink()
    tree.host.config_of("vm0001").write_bytes(domain_xml("vm0001", uuid_for("second")))
    call(hook, tree, "vm0001", data=domain_xml("vm0001", uuid_for("second")))
    tree.host.log_of("vm0001").write_text("second\n")
    assert old.read_bytes() == content
    assert os.readlink(tree.host.log_of("vm0001")) == f"by-uuid/{uuid_for('second')}.log"


def test_the_log_of_a_renamed_domain_follows_it_when_its_old_name_is_taken(
    hook: Path, make_tree: Build
) -> None:
    from tests.support.libvirt import libvirt_domrename, libvirt_save

    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    content = tree.host.log_of("vm0000").read_bytes()
    libvirt_domrename(tree.host, "vm0000", "renamed")
    libvirt_save(tree.host.config_of("vm0000"), domain_xml("vm0000", uuid_for("second")))
    call(hook, tree, "vm0000", data=domain_xml("vm0000", uuid_for("second")))
    assert os.readlink(tree.host.log_of("vm0000")) == f"by-uuid/{uuid_for('second')}.log"
    assert tree.host.log_of("renamed").read_bytes() == content
    call(hook, tree, "renamed", data=domain_xml("renamed", uuid_for("vm0000")))
    assert tree.host.log_of("renamed").read_bytes() == content
    assert uuidfs(tree.host.root, "convert", "--all").code == 0
    assert uuidfs(tree.host.root, "check").code == 0


def test_the_start_of_a_renamed_domain_finds_its_history(hook: Path, make_tree: Build) -> None:
    from tests.support.libvirt import libvirt_domrename

    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    content = tree.host.log_of("vm0000").read_bytes()
    libvirt_domrename(tree.host, "vm0000", "renamed")
    call(hook, tree, "renamed", data=domain_xml("renamed", uuid_for("vm0000")))
    assert tree.host.log_of("renamed").read_bytes() == content
    assert not tree.host.log_of("vm0000").is_symlink()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_converted_domain_needs_no_python_at_any_operation(
    hook: Path, make_tree: Build, operation: str
) -> None:
    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    before = fingerprint(tree.host.root, ctime=True)
    started = hook.parent / "python-was-started"
    fake = hook.parent / "fake"
    fake.write_text(f"#!/bin/sh\ntouch {started}\n")
    fake.chmod(0o755)
    call(hook, tree, "vm0000", operation, UUIDFS_PYTHON=str(fake))
    assert not started.exists()
    assert fingerprint(tree.host.root, ctime=True) == before
    call(hook, tree, "other", "prepare", b"", UUIDFS_PYTHON=str(fake))
    assert started.exists()  # this check can fail


def test_release_folds_a_log_that_was_rotated_meanwhile(hook: Path, make_tree: Build) -> None:
    from tests.support.libvirt import virtlogd_rollover

    tree = make_tree()
    uuidfs(tree.host.root, "convert", "--all")
    truth = facts(tree.host)["var/log/libvirt/qemu/vm0000.log"]
    virtlogd_rollover(tree.host, "vm0000", b"new\n")
    call(hook, tree, "vm0000", "release")
    assert tree.host.log_of("vm0000").is_symlink()
    assert facts(tree.host)["var/log/libvirt/qemu/vm0000.log.0"] == truth
    assert uuidfs(tree.host.root, "check").code == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        b"\0" * 5000,
        b"<domain/>",
        b"<domain>",
        domain_xml("x", uuid_for("x")),
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><domain/>",
        b"x" * 20_000_000,
    ],
)
def test_garbage_on_stdin_changes_nothing(hook: Path, make_tree: Build, data: bytes) -> None:
    tree = make_tree()
    before = fingerprint(tree.host.root)
    call(hook, tree, "vm0000", data=data)
    assert fingerprint(tree.host.root) == before


def test_an_interpreter_that_is_missing_or_broken_is_no_failure(
    hook: Path, make_tree: Build
) -> None:
    tree = make_tree()
    call(hook, tree, "vm0000", UUIDFS_PYTHON="/nowhere/python3")
    call(hook, tree, "vm0000", UUIDFS_PYTHON="/bin/false")
    hook.write_text(hook.read_text().replace(str(REPOSITORY), "/nowhere"))
    call(hook, tree, "vm0000", UUIDFS_PYTHON="/usr/bin/python3")


def test_an_interpreter_that_hangs_is_killed_after_4_seconds(hook: Path, make_tree: Build) -> None:
    tree = make_tree()
    hang = hook.parent / "hang"
    hang.write_text("#!/bin/sh\nexec sleep 600\n")
    hang.chmod(0o755)
    assert call(hook, tree, "vm0000", UUIDFS_PYTHON=str(hang)) >= 4


def test_stdin_that_never_ends_does_not_hold_the_hook(hook: Path, make_tree: Build) -> None:
    tree = make_tree()
    with subprocess.Popen(
        [hook, "vm0000", "prepare", "begin", "-"],
        stdin=subprocess.PIPE,
        env={**os.environ, "UUIDFS_ROOT": str(tree.host.root)},
    ) as process:
        assert process.wait(timeout=PATIENCE) == 0


def test_a_held_lock_is_waited_for_one_second_and_left(hook: Path, make_tree: Build) -> None:
    from uuidfs.layout.connections import system
    from uuidfs.runtime.domain_locks import Locks

    tree = make_tree()
    tools, told = hook.parent / "tools", hook.parent / "told"
    tools.mkdir()
    (tools / "logger").write_text(f'#!/bin/sh\necho "$*" >>{told}\n')
    (tools / "logger").chmod(0o755)
    with Locks(system(str(tree.host.root)), 0.0).hold(uuid_for("vm0000")):
        assert call(hook, tree, "vm0000", PATH=f"{tools}:/usr/bin:/bin") >= 1.0
    assert not told.exists(), "the shell would tell that Python was killed: it left by itself"
    assert not tree.host.config_of("vm0000").is_symlink()


def test_the_hook_imports_nothing_expensive() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import uuidfs.hook; "
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, REPOSITORY], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())
    assert "uuidfs" in modules
    assert not modules & {
        "lxml",
        "filelock",
        "typer",
        "click",
        "watchdog",
        "rich",
        "dataclasses",
        "inspect",
        "pathlib",
        "logging",
        "json",
        "subprocess",
        "asyncio",
    }


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
