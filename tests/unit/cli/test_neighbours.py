"""What docs/faq.md says of how others treat these files: tar, git, virt-manager's rename."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_save
from tests.support.process import uuidfs
from tests.support.trees import Domain, Host, domain_xml, uuid_for

WEB = Domain("web", uuid_for("web"), snapshots=("s1",), checkpoints=("c1",))
DB = Domain("db", uuid_for("db"))


def run(*command: str | Path) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def git(directory: Path, *words: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=m")
    return run("git", *identity, "-C", directory, *words)


def unlinked(host: Host) -> list[Path]:
    """Names that do not open as they should: links that lead nowhere."""
    return [path for path in host.root.rglob("*") if path.is_symlink() and not path.exists()]


def test_a_tree_that_tar_has_packed_and_unpacked_is_whole_and_can_be_reverted(
    make_tree: Build, tmp_path: Path
) -> None:
    host = make_tree(WEB, DB).host
    before = host.config_of("web").read_bytes()
    assert uuidfs(host.root, "convert", "--all").code == 0
    dangling = len(unlinked(host))
    run("tar", "-C", host.root, "-cf", tmp_path / "backup.tar", ".")
    back = Host(tmp_path / "restored")
    back.root.mkdir()
    run("tar", "-C", back.root, "-xf", tmp_path / "backup.tar")
    assert len(unlinked(back)) == dangling
    assert back.config_of("web").is_symlink()
    done = uuidfs(back.root, "check")
    assert done.code == 0, done.out + done.err
    assert uuidfs(back.root, "revert", "--all").code == 0
    assert not back.config_of("web").is_symlink()
    assert back.config_of("web").read_bytes() == before
    assert (back.snapshot / "web/s1.xml").is_file()


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_git_keeps_links_and_a_renamed_domains_config_has_one_history(
    make_tree: Build, tmp_path: Path
) -> None:
    host = make_tree(WEB, DB).host
    assert uuidfs(host.root, "convert", "--all").code == 0
    etc = host.root / "etc"
    git(etc, "init", "-q")
    git(etc, "add", "-A")
    git(etc, "commit", "-qm", "converted")
    libvirt_save(host.config_of("web"), domain_xml("web", WEB.uuid, "changed"))
    assert uuidfs(host.root, "convert", "--all").code == 0
    git(etc, "add", "-A")
    changed = git(etc, "diff", "--cached", "--name-only").split()
    assert changed == [f"libvirt/qemu/by-uuid/{WEB.uuid}.xml"]
    git(etc, "commit", "-qm", "saved")
    git(tmp_path, "clone", "-q", str(etc), "clone")
    config = tmp_path / "clone/libvirt/qemu/web.xml"
    assert config.is_symlink()
    assert config.read_bytes() == host.config_of("web").read_bytes()


@pytest.mark.parametrize("seen", [False, True], ids=["at once", "with a look in between"])
def test_who_is_undefined_and_defined_again_under_another_name_was_renamed(
    make_tree: Build, seen: bool
) -> None:
    host = make_tree(DB).host
    log = host.log_of("db").read_bytes()
    assert uuidfs(host.root, "convert", "--all").code == 0
    inode = host.log_of("db").stat().st_ino
    host.config_of("db").unlink()
    if seen:
        assert uuidfs(host.root, "convert", "--all").code == 0
    libvirt_save(host.config_of("shop"), domain_xml("shop", DB.uuid))
    assert uuidfs(host.root, "convert", "--all").code == 0
    assert host.log_of("shop").stat().st_ino == inode
    assert host.log_of("shop").read_bytes() == log
    assert not host.log_of("db").is_symlink()
    done = uuidfs(host.root, "check")
    assert done.code == 0, done.out + done.err
