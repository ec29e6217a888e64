"""The systemd units and the logrotate snippet, by the real tools."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import REPOSITORY, uuidfs
from tests.support.trees import Domain, uuid_for

UNITS = sorted((REPOSITORY / "packaging/systemd").glob("*.service"))
SNIPPET = REPOSITORY / "packaging/logrotate/uuidfs"
DEBIANS = Path("/etc/logrotate.d/libvirtd.qemu")
LOGROTATE = shutil.which("logrotate", path="/usr/sbin:/sbin:/usr/bin:/bin")
WEB = Domain("web", uuid_for("web"), log_suffixes=("",))

systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
rotating = pytest.mark.skipif(
    LOGROTATE is None or not DEBIANS.exists() or os.geteuid() != 0,
    reason="needs root, logrotate and libvirt's snippet for it",
)


# It starts a daemon that outlives it, in a mount namespace: no sandbox.
SANDBOXED = [unit for unit in UNITS if unit.name != "uuidfs-recover.service"]


def test_all_units_are_there() -> None:
    assert [unit.name for unit in UNITS] == [
        "uuidfs-check.service",
        "uuidfs-recover.service",
        "uuidfs.service",
    ]


@systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    # As installed: /usr/bin/uuidfs has to exist for verify, and the manual page not yet.
    text = unit.read_text().replace("/usr/bin/uuidfs", "/bin/true")
    (tmp_path / unit.name).write_text(re.sub("Documentation=.*\n", "", text))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert unit.name not in done.stderr, done.stderr


@systemd
@pytest.mark.parametrize("unit", SANDBOXED, ids=lambda unit: unit.name)
def test_little_stays_open(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) < 3.0


def test_a_rename_never_crosses_two_mounts() -> None:
    """ReadWritePaths= makes mounts: a name and its store have to be below one of them."""
    for unit in SANDBOXED:
        paths = [
            path.removeprefix("-")
            for line in re.findall("^ReadWritePaths=(.*)$", unit.read_text(), re.M)
            for path in line.split()
        ]
        for names, store in (
            ("/etc/libvirt/qemu", "/etc/libvirt/qemu/by-uuid"),
            ("/var/log/libvirt/qemu", "/var/log/libvirt/qemu/by-uuid"),
            ("/var/lib/libvirt/qemu/snapshot", "/var/lib/libvirt/by-uuid/snapshot"),
        ):
            above = [path for path in paths if f"{names}/".startswith(f"{path}/")]
            assert len(above) == 1, names
            assert f"{store}/".startswith(f"{above[0]}/"), store


@pytest.mark.parametrize("unit", SANDBOXED, ids=lambda unit: unit.name)
def test_a_unit_starts_where_a_directory_is_missing(unit: Path) -> None:
    """systemd.exec(5): without "-" a missing path fails the start, with 226/NAMESPACE. tests/host
    has the real thing."""
    for line in re.findall("^ReadWritePaths=(.*)$", unit.read_text(), re.M):
        assert [path for path in line.split() if not path.startswith("-")] == []


def test_no_unit_of_libvirts_waits_for_the_reconciler() -> None:
    text = (REPOSITORY / "packaging/systemd/uuidfs.service").read_text()
    assert not re.search("^(Before|RequiredBy|BindsTo|PartOf|Conflicts)=", text, re.MULTILINE)
    check = (REPOSITORY / "packaging/systemd/uuidfs-check.service").read_text()
    assert "Before=libvirtd.service virtqemud.service" in check
    assert not re.search("^(RequiredBy|BindsTo|PartOf)=", check, re.MULTILINE)


def rotate(log: Path, tmp_path: Path) -> str:
    """The real logrotate with Debian's snippet and ours, on another directory."""
    config = tmp_path / "logrotate.conf"
    config.write_text(
        "".join(
            file.read_text().replace("/var/log/libvirt/qemu", os.fspath(log))
            for file in (DEBIANS, SNIPPET)
        )
    )
    config.chmod(0o644)
    assert LOGROTATE is not None
    done = subprocess.run(
        [LOGROTATE, "-v", "-s", tmp_path / "state", config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@rotating
def test_logrotate_rotates_in_the_store_and_the_names_follow(
    make_tree: Build, tmp_path: Path
) -> None:
    tree = make_tree(WEB)
    log, store = tree.host.log, tree.host.store("log")
    assert uuidfs(tree.host.root, "convert", "--all").code == 0
    texts = [letter * 2_200_000 for letter in (b"a", b"b", b"c")]
    for text in texts:
        (log / "web.log").write_bytes(text)  # through the link, as QEMU would
        said = rotate(log, tmp_path)
        assert "web.log is symbolic link" in said, "libvirt's own snippet does not reach it"
        assert uuidfs(tree.host.root, "convert", "--all").code == 0
        assert uuidfs(tree.host.root, "check").code == 0
    assert sorted(path.name for path in log.glob("web.log*")) == [
        "web.log",
        "web.log.1",
        "web.log.2.gz",
        "web.log.3.gz",
    ]
    assert all(path.is_symlink() for path in log.glob("web.log*"))
    assert (log / "web.log").read_bytes() == b""
    assert (log / "web.log.1").read_bytes() == texts[2]
    for name, text in (("web.log.2.gz", texts[1]), ("web.log.3.gz", texts[0])):
        unpacked = subprocess.run(["gzip", "-dc", log / name], capture_output=True, check=True)
        assert unpacked.stdout == text
    assert {path.name for path in store.iterdir() if path.is_file()} == {
        f"{WEB.uuid}.log{suffix}" for suffix in ("", ".1", ".2.gz", ".3.gz")
    }
