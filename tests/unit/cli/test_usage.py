"""Options, names and connections that all commands take."""

import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import uuidfs
from tests.support.trees import Domain, build, domain_xml, sample, uuid_for
from uuidfs.cli import options
from uuidfs.errors import UsageError


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
        ("outdated",),  # of a tree without processes
    ],
)
def test_bad_usage_is_one_line_on_stderr_and_exit_code_2(
    make_tree: Build, arguments: tuple[str, ...]
) -> None:
    done = uuidfs(make_tree().host.root, *arguments)
    assert done.code == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("text", ["0", "5", "0.5", "300ms", "1s", "2min", "1.5h"])
def test_lengths_of_time_are_as_in_the_configuration_or_seconds(text: str) -> None:
    expected = {"300ms": 0.3, "1s": 1.0, "2min": 120.0, "1.5h": 5400.0}
    assert options.seconds("--timeout", text) == expected.get(text, float(text.strip("msinh")))


@pytest.mark.parametrize("text", ["", "soon", "-1", "1e3", "nan", "inf", "5 minutes", "forever"])
def test_what_is_no_length_of_time_is_refused_with_the_options_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"--timeout: .* is not a length"):
        options.seconds("--timeout", text)


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "--all", "--lock-timeout", "2min"),
        ("revert", "--all", "--lock-timeout", "300ms"),
        ("check", "--lock-timeout", "1h"),
        ("lock", "vm0000", "--timeout", "30s", "--", "true"),
        ("trash", "empty", "--older-than", "30d"),
    ],
    ids=" ".join,
)
def test_commands_take_lengths_of_time(make_tree: Build, words: tuple[str, ...]) -> None:
    uuidfs(make_tree().host.root, *words).ok()


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
