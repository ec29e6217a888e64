"""The note of which directory is the domain's."""

import os
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.trees import Domain, uuid_for
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.layout.connections import system
from uuidfs.layout.names import DIRECTORY_MARK


def test_two_processes_note_a_kinds_directory_at_once(
    make_tree: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has the lock of another domain, and the directory above is the same for both."""
    tree = make_tree(Domain("web", uuid_for("web"), snapshots=("s1",)))
    real = change.symlink
    raced: list[Path] = []

    def symlink(text: str, directory: Directory, name: str) -> None:
        if name == DIRECTORY_MARK and not raced:
            raced.append(Path(directory.at(name)))
            real(text, directory, name)  # the other one was faster
        real(text, directory, name)

    monkeypatch.setattr(change, "symlink", symlink)
    result = convert(system(os.fspath(tree.host.root)), Options())
    assert [domain.error for domain in result.domains if domain.error] == []
    assert raced == [tree.host.root / "var/lib/libvirt/by-uuid/snapshot" / DIRECTORY_MARK]
    assert raced[0].is_symlink()
