"""Keepsakes get their names back, and never over anything."""

import os
from pathlib import Path

import pytest

from tests.support.rights import root_only
from tests.support.secrets import SWTPM_UID, UUID, kept, nvram, tpm
from tests.support.trees import QEMU_UID, Tree
from tests.unit.trash.deleted import kill_at
from uuidfs.errors import Refused
from uuidfs.keepsakes.put import Held, put, put_tpm, take_back, take_back_tpm
from uuidfs.keepsakes.sources import Source, source_of
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout

pytestmark = root_only

TPM = "tpm~tpm2~tpm2-00.permall"


class Kept:
    """A keepsake whose file is gone."""

    def __init__(self, tree: Tree, name: str, file: Path) -> None:
        self.layout: Layout = system(os.fspath(tree.host.root))
        self.file = file
        kept(tree.host).mkdir(parents=True, exist_ok=True)
        os.link(file, kept(tree.host, name))
        self.inode = file.stat().st_ino
        file.unlink()
        self.held = Held(self.layout.kept.child(UUID), name)
        config = (tree.host.config / "web.xml").read_bytes()
        source = source_of(self.layout, UUID, "web", name, config)
        assert source is not None
        self.source: Source = source


@pytest.fixture
def variables(tree: Tree) -> Kept:
    return Kept(tree, "nvram", nvram(tree.host))


@pytest.fixture
def state(tree: Tree) -> Kept:
    made = Kept(tree, TPM, tpm(tree.host))
    tpm(tree.host).parent.rmdir()
    tpm(tree.host).parent.parent.rmdir()
    return made


def test_it_is_the_very_file(variables: Kept) -> None:
    done = put(variables.held, variables.source)
    assert (done.is_there, done.made) == (True, True)
    found = variables.file.stat()
    assert (found.st_ino, found.st_uid, found.st_nlink) == (variables.inode, QEMU_UID, 2)
    again = put(variables.held, variables.source)
    assert (again.is_there, again.made) == (True, False)
    take_back(again)
    assert variables.file.exists()
    take_back(done)
    assert not variables.file.exists()


@pytest.mark.parametrize("plant", ["file", "link", "dangling link", "fifo", "directory"])
def test_what_is_there_stays(variables: Kept, plant: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"root's\n")
    path = variables.file
    if plant == "file":
        path.write_bytes(b"newer\n")
    elif plant == "fifo":
        os.mkfifo(path)
    elif plant == "directory":
        path.mkdir()
    else:
        path.symlink_to(secret if plant == "link" else tmp_path / "nothing")
    before = path.lstat().st_ino
    done = put(variables.held, variables.source)
    assert (done.is_there, done.made) == (False, False)
    take_back(done)
    assert path.lstat().st_ino == before
    assert secret.read_bytes() == b"root's\n"
    assert not (tmp_path / "nothing").exists()


def test_a_directory_that_is_a_link_is_not_followed(variables: Kept, tmp_path: Path) -> None:
    variables.file.parent.rmdir()
    variables.file.parent.symlink_to(tmp_path)
    with pytest.raises(Refused, match="no symlink"):
        put(variables.held, variables.source)
    assert list(tmp_path.glob("*.fd")) == []


def test_what_came_in_its_place_is_not_taken_away(variables: Kept) -> None:
    """libvirt refused the domain, and somebody else's file has the name by now."""
    done = put(variables.held, variables.source)
    variables.file.unlink()
    variables.file.write_bytes(b"another's\n")
    take_back(done)
    assert variables.file.read_bytes() == b"another's\n"


def test_a_state_gets_the_directories_that_libvirt_makes(state: Kept) -> None:
    [done] = put_tpm(state.layout, UUID, [(state.held, state.source)])
    assert (done.is_there, done.made) == (True, True)
    inner, outer = state.file.parent.stat(), state.file.parent.parent.stat()
    assert (state.file.stat().st_ino, inner.st_uid, outer.st_uid) == (state.inode, SWTPM_UID, 0)
    assert (inner.st_mode & 0o777, outer.st_mode & 0o777) == (0o700, 0o711)
    take_back_tpm(state.layout, UUID, [done])
    assert not state.file.parent.parent.exists()


def test_a_newer_state_stays(state: Kept) -> None:
    state.file.parent.mkdir(parents=True)
    state.file.write_bytes(b"newer\n")
    [done] = put_tpm(state.layout, UUID, [(state.held, state.source)])
    assert (done.is_there, done.made) == (False, False)
    take_back_tpm(state.layout, UUID, [done])
    assert state.file.read_bytes() == b"newer\n"


def test_a_state_that_is_half_there_is_nowhere(
    state: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill before the rename: libvirt would make a new state where the directory is empty."""
    pairs = [(state.held, state.source)]
    kill_at(monkeypatch, "undelete: TPM's state ready", lambda: put_tpm(state.layout, UUID, pairs))
    assert not state.file.parent.parent.exists()
    [done] = put_tpm(state.layout, UUID, pairs)
    assert done.made
    assert state.file.stat().st_ino == state.inode
    assert state.file.stat().st_nlink == 2
    assert {path.name for path in state.file.parents[2].iterdir()} == {UUID}
