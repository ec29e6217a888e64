"""A quick "nothing to do": said where it is so, and not after any change."""

import os
from collections.abc import Callable

import pytest

from tests.conftest import Build
from tests.support.libvirt import Libvirtd, finish, libvirt_clean_up, virtlogd_rollover
from tests.support.trees import Tree, uuid_for
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.connections import system
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.up_to_date import is_up_to_date

NAME = "vm0000"


def up_to_date(tree: Tree) -> dict[str, bool]:
    """By UUID."""
    with TrustedDirs(system(os.fspath(tree.host.root))) as dirs:
        scan = scan_all(Documents(dirs, read_lxml))
        return {uuid: is_up_to_date(dirs, scan, uuid) for uuid in scan.uuids()}


def stray_link(tree: Tree) -> None:
    (tree.host.snapshot / "old").mkdir()
    link = os.readlink(tree.host.snapshot / NAME / "base.xml")
    (tree.host.snapshot / "old/base.xml").symlink_to(link)


CHANGES: dict[str, Callable[[Tree], None]] = {
    "a save": lambda tree: finish(Libvirtd(tree.host).save(NAME)),
    "a new snapshot": lambda tree: finish(Libvirtd(tree.host).snapshot(NAME, "s9")),
    "a deleted snapshot": lambda tree: finish(Libvirtd(tree.host).snapshot_delete(NAME, "base")),
    "a rename": lambda tree: finish(Libvirtd(tree.host).rename(NAME, "renamed")),
    "an undefine": lambda tree: libvirt_clean_up(tree.host, NAME),
    "a rotated log": lambda tree: virtlogd_rollover(tree.host, NAME, b"new\n"),
    "a log without a name": lambda tree: tree.host.log_of(NAME, ".1").unlink(),
    "a link elsewhere": stray_link,
}


def test_nothing_is_up_to_date_before_the_first_convert_and_all_is_after_it(
    make_tree: Build,
) -> None:
    tree = make_tree()
    assert set(up_to_date(tree).values()) == {False}
    convert(system(os.fspath(tree.host.root)), Options())
    assert up_to_date(tree) == dict.fromkeys(tree.bindings.values(), True)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_after_a_change_only_the_others_are_up_to_date(
    make_tree: Build, change: Callable[[Tree], None]
) -> None:
    tree = make_tree()
    convert(system(os.fspath(tree.host.root)), Options())
    change(tree)
    found = up_to_date(tree)
    assert not found.pop(uuid_for(NAME))
    assert set(found.values()) == {True}
