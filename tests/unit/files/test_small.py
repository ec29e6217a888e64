import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import REPOSITORY
from uuidfs.files.directory import existing
from uuidfs.files.small import write_whole
from uuidfs.layout.places import Place


def test_a_file_is_replaced_with_mode_and_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with existing(Place(os.fspath(tmp_path))) as directory:
        write_whole(directory, "file", b"new", mode=0o640, durable=True)
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o640
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_kill_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".file.uuidfs").write_text("half a file")
    with existing(Place(os.fspath(tmp_path))) as directory:
        write_whole(directory, "file", b"new")
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_at_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".file.uuidfs").symlink_to("precious")
    with existing(Place(os.fspath(tmp_path))) as directory:
        write_whole(directory, "file", b"new")
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("room", [0, 1, 1000])
def test_a_full_disk_leaves_no_half_hook(make_tree: Build, room: int) -> None:
    """RLIMIT_FSIZE makes write(2) take less than it was given, as a full disk does."""
    tree = make_tree()
    hook = tree.host.root / "etc/libvirt/hooks/qemu"
    command = [sys.executable, "-m", "uuidfs", "--root", os.fspath(tree.host.root), "hook"]

    def install(limit: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "install"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )

    failed = install(room)
    assert failed.returncode == 1
    assert str(hook) in failed.stderr
    assert not hook.exists()
    assert install(resource.RLIM_INFINITY).returncode == 0
    whole = hook.read_bytes()
    hook.write_bytes(b"# uuidfs-hook 1\n# an older one\n")
    assert install(room).returncode == 1
    assert hook.read_bytes() == b"# uuidfs-hook 1\n# an older one\n"
    assert os.listdir(hook.parent) == ["qemu"]
    assert len(whole) > 1000
