"""``uuidfs systemd``: the packages' units with another program in them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import REPOSITORY, uuidfs
from uuidfs.errors import Refused
from uuidfs.host import systemd
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout

PROGRAM = "/opt/pipx/venvs/uuidfs/bin/uuidfs"


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """An empty root, and an installation whose program is PROGRAM."""
    (tmp_path / "etc").mkdir()
    monkeypatch.setattr(systemd, "program", lambda: PROGRAM)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    return system(str(tmp_path))


def test_the_units_are_those_of_the_packages_with_another_program(layout: Layout) -> None:
    for unit in systemd.install(layout):
        shipped = (REPOSITORY / "packaging/systemd" / unit.name).read_text()
        assert (
            Path(unit.path).read_bytes()
            == systemd.MARK + shipped.replace("/usr/bin/uuidfs", PROGRAM).encode()
        )
        assert unit.command in {
            f"{PROGRAM} reconcile",
            f"{PROGRAM} check --repair",
            f"{PROGRAM} local-migrate --recover",
        }


def test_a_second_installation_changes_nothing_and_a_newer_one_does(layout: Layout) -> None:
    assert [unit.changed for unit in systemd.install(layout)] == [True] * 3
    assert [unit.changed for unit in systemd.install(layout)] == [False] * 3
    path = Path(systemd.status(layout)[2].path)
    path.write_bytes(systemd.MARK + b"[Service]\nExecStart=/old/uuidfs reconcile\n")
    assert [unit.changed for unit in systemd.install(layout)] == [False, False, True]


def test_remove_leaves_nothing(layout: Layout) -> None:
    systemd.install(layout)
    assert [unit.changed for unit in systemd.remove(layout)] == [True] * 3
    assert list(Path(systemd.directory(layout).path).iterdir()) == []
    assert [unit.changed for unit in systemd.remove(layout)] == [False] * 3


def test_somebody_elses_unit_is_never_touched(layout: Layout) -> None:
    directory = Path(systemd.directory(layout).path)
    directory.mkdir(parents=True)
    (directory / "uuidfs.service").write_text("[Unit]\n")
    with pytest.raises(Refused, match="somebody else's"):
        systemd.install(layout)
    assert [path.name for path in directory.iterdir()] == ["uuidfs.service"]
    systemd.remove(layout)
    assert (directory / "uuidfs.service").read_text() == "[Unit]\n"


def test_the_units_of_a_package_are_not_shadowed(layout: Layout, tmp_path: Path) -> None:
    packaged = tmp_path / "usr/lib/systemd/system/uuidfs.service"
    packaged.parent.mkdir(parents=True)
    packaged.write_text("[Unit]\n")
    with pytest.raises(Refused, match="systemctl enable --now"):
        systemd.install(layout)


@pytest.mark.parametrize("home", ["/root/.local/pipx/venvs/uuidfs/bin/uuidfs", "/home/a/uuidfs"])
def test_a_program_in_a_home_can_be_read_and_no_more(layout: Layout, home: str) -> None:
    assert layout
    for name in systemd.ENABLED:  # the third one has no sandbox
        assert "\nProtectHome=read-only\n" in systemd.rendered(name, home).decode()
        assert "\nProtectHome=yes\n" in systemd.rendered(name, PROGRAM).decode()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
@pytest.mark.parametrize("strange", ["a b", "50%", "semi;colon", "%h"])
def test_systemd_reads_a_strange_path_as_it_is(
    layout: Layout, tmp_path: Path, strange: str
) -> None:
    """verify says so when ExecStart= is no executable file."""
    assert layout
    program = tmp_path / strange / "uuidfs"
    program.parent.mkdir()
    unit = tmp_path / "uuidfs.service"
    text = re.sub(
        "Documentation=.*\n", "", systemd.rendered("uuidfs.service", str(program)).decode()
    )

    def verify() -> str:
        unit.write_text(text)
        return subprocess.run(
            ["systemd-analyze", "verify", "--man=no", unit],
            capture_output=True,
            text=True,
            check=False,
        ).stderr

    assert "is not executable" in verify() or "No such file" in verify()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert "uuidfs.service" not in verify()


def test_a_checkout_or_a_temporary_directory_cannot_be_a_units_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(Refused, match="no such program"):
        systemd.program()
    (tmp_path / "uuidfs").write_text("#!/bin/sh\n")
    (tmp_path / "uuidfs").chmod(0o755)
    monkeypatch.setattr(systemd, "_TEMPORARY", (f"{tmp_path}/",))
    with pytest.raises(Refused, match="temporary"):
        systemd.program()


@pytest.mark.parametrize("strange", ["$HOME", 'quo"te', "back\\slash", "o'clock", "new\nline"])
def test_what_systemd_would_not_run_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, strange: str
) -> None:
    directory = tmp_path / strange
    directory.mkdir()
    (directory / "uuidfs").write_text("#!/bin/sh\n")
    (directory / "uuidfs").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(directory / "python"))
    monkeypatch.setattr(systemd, "_TEMPORARY", ())
    with pytest.raises(Refused, match="such characters"):
        systemd.program()


def test_the_command_tells_where_the_units_are(tmp_path: Path) -> None:
    done = uuidfs(tmp_path, "systemd", "status")
    assert (done.code, done.out.count("not installed")) == (1, 3)
    units = uuidfs(tmp_path, "systemd", "status", "--json").json["units"]
    assert [os.path.basename(unit["path"]) for unit in units] == list(systemd.UNITS)
    assert uuidfs(tmp_path, "systemd", "remove").code == 0


def test_status_knows_the_units_of_a_package_and_remove_leaves_them(tmp_path: Path) -> None:
    packaged = tmp_path / "usr/lib/systemd/system"
    packaged.mkdir(parents=True)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    for name in systemd.UNITS:
        shutil.copy(REPOSITORY / "packaging/systemd" / name, packaged)
    done = uuidfs(tmp_path, "systemd", "status").ok()
    assert done.out.splitlines() == [
        "uuidfs-check.service: of a package, runs /usr/bin/uuidfs check --repair",
        "uuidfs-recover.service: of a package, runs /usr/bin/uuidfs local-migrate --recover",
        "uuidfs.service: of a package, runs /usr/bin/uuidfs reconcile",
    ]
    units = uuidfs(tmp_path, "systemd", "status", "--json").ok().json["units"]
    assert [(unit["installed"], unit["packaged"]) for unit in units] == [(True, True)] * 3
    assert units[0]["path"] == str(packaged / "uuidfs-check.service")
    uuidfs(tmp_path, "systemd", "remove").ok()
    assert len(list(packaged.iterdir())) == 3
    override = tmp_path / "etc/systemd/system/uuidfs.service"
    override.write_text("[Service]\nExecStart=/bin/true\n")
    done = uuidfs(tmp_path, "systemd", "status")
    assert done.code == 1
    assert done.out.splitlines()[2] == f"uuidfs.service: somebody else's, {override}"
