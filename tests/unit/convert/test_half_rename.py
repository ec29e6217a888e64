"""A rename that was cut in half: one name stays, and what is only the other's is kept."""

import os
import shutil
from collections.abc import Callable

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_clean_up, libvirt_domrename
from tests.support.trees import Domain, Tree, domain_xml, snapshot_xml, status_xml, uuid_for
from tests.support.truth import broken_promises, fact, facts, trashed
from uuidfs.convert.half_rename import FinishedRename, finish_rename
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.errors import Busy, Changed, Refused
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout
from uuidfs.runtime.domain_locks import Locks

WEB = Domain("web", uuid_for("web"), autostart=True, snapshots=("s1",), checkpoints=("c1",))
DB = Domain("db", uuid_for("db"))
Ask = Callable[[Layout, str], str | None]


@pytest.fixture
def tree(make_tree: Build) -> Tree:
    """A converted host on which ``virsh domrename web shop`` was killed before its last step."""
    made = make_tree(WEB, DB)
    assert convert(layout(made), Options()).exit_code == 0
    libvirt_domrename(made.host, "web", "shop", steps=4)
    assert made.host.config_of("web").exists()
    assert made.host.config_of("shop").exists()
    return made


def layout(tree: Tree) -> Layout:
    return system(os.fspath(tree.host.root))


def says(name: str | None) -> Ask:
    return lambda _layout, uuid: name if uuid == WEB.uuid else None


def finish(tree: Tree, ask: Ask) -> FinishedRename | None:
    return finish_rename(layout(tree), WEB.uuid, ask, Options(lock_timeout=0.0))


def test_the_name_that_was_written_last_wins_when_no_daemon_tells(tree: Tree) -> None:
    config = tree.host.config_of("shop").read_bytes()
    assert finish(tree, says(None)) == FinishedRename(WEB.uuid, "shop", ("web",))
    assert tree.host.config_of("shop").read_bytes() == config
    for gone in (
        tree.host.config_of("web"),
        tree.host.autostart / "web.xml",
        tree.host.snapshot / "web",
        tree.host.checkpoint / "web",
    ):
        assert not os.path.lexists(gone), gone
    assert (tree.host.autostart / "shop.xml").is_symlink()


def test_afterwards_a_convert_brings_the_layout_back(tree: Tree) -> None:
    finish(tree, says(None))
    snapshot = fact(tree.host.snapshot / "shop/s1.xml")
    assert convert(layout(tree), Options()).exit_code == 0
    assert fact(tree.host.snapshot / "shop/s1.xml") == snapshot
    assert (tree.host.checkpoint / "shop/c1.xml").is_symlink()
    after = facts(tree.host)
    assert broken_promises(tree.host, after, {"shop": WEB.uuid, "db": DB.uuid}) == []
    assert tree.host.log_of("shop").read_bytes().startswith(WEB.uuid.encode())


def test_the_daemons_word_counts_more_than_what_was_written_last(tree: Tree) -> None:
    written = tree.host.config_of("shop").read_bytes()
    assert finish(tree, says("web")) == FinishedRename(WEB.uuid, "web", ("shop",))
    assert tree.host.config_of("web").is_symlink()
    assert not os.path.lexists(tree.host.config_of("shop"))
    assert written in {path.read_bytes() for path in trashed(tree.host)}, "kept in the trash"


def test_a_daemon_that_knows_neither_name_is_a_refusal(tree: Tree) -> None:
    before = facts(tree.host)
    with pytest.raises(Refused, match="'third'"):
        finish(tree, says("third"))
    assert facts(tree.host) == before


def test_two_links_tell_nothing_so_the_daemon_has_to(tree: Tree) -> None:
    shop = tree.host.config_of("shop")
    shop.unlink()
    shop.symlink_to(os.readlink(tree.host.config_of("web")))
    with pytest.raises(Refused, match="cannot tell"):
        finish(tree, says(None))
    assert finish(tree, says("shop")) == FinishedRename(WEB.uuid, "shop", ("web",))
    assert b"<domain" in shop.read_bytes()


def test_one_name_is_no_half_rename(tree: Tree) -> None:
    tree.host.config_of("web").unlink()
    assert finish(tree, says(None)) is None
    assert finish_rename(layout(tree), DB.uuid, says(None), Options()) is None


def test_nothing_is_touched_while_the_domains_lock_is_held(tree: Tree) -> None:
    before = facts(tree.host)
    with Locks(layout(tree), 0.0).hold(WEB.uuid), pytest.raises(Busy):
        finish(tree, says(None))
    assert facts(tree.host) == before


def test_a_directory_of_another_user_is_left_alone(tree: Tree) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: gives a directory away")
    theirs = tree.host.snapshot / "web"
    os.chown(theirs, 1234, -1)
    names = sorted(os.listdir(theirs))
    assert names == ["s1.xml"]
    assert finish(tree, says("shop")) is not None
    assert sorted(os.listdir(theirs)) == names


def test_of_three_names_two_lose(tree: Tree) -> None:
    third = tree.host.config_of("third")
    web = tree.host.config_of("web").read_bytes()
    third.write_bytes(web.replace(b"<name>web</name>", b"<name>third</name>"))
    done = finish(tree, says("web"))
    assert done is not None
    assert (done.winner, sorted(done.losers)) == ("web", ["shop", "third"])
    assert not os.path.lexists(third)


def test_a_copy_with_other_disks_is_no_rename_and_both_stay(tree: Tree) -> None:
    """sed s/web/clone/ web.xml >clone.xml, and the UUID forgotten: on 8923101 the clone won."""
    shop = tree.host.config_of("shop")
    shop.write_bytes(domain_xml("shop", WEB.uuid, "of another disk"))
    before = facts(tree.host)
    for told in (None, "web", "shop"):
        with pytest.raises(Refused, match="differs from it in more than the name"):
            finish(tree, says(told))
    assert facts(tree.host) == before


def test_a_copy_without_the_snapshots_is_no_rename(tree: Tree) -> None:
    shutil.rmtree(tree.host.snapshot / "shop")
    before = facts(tree.host)
    with pytest.raises(Refused, match="'shop' lacks its snapshot"):
        finish(tree, says(None))
    assert facts(tree.host) == before


def test_a_snapshot_of_the_losing_name_alone_is_no_leftover(tree: Tree) -> None:
    """libvirt was started as ``shop``, a snapshot was made, and its next start made it ``web``."""
    (tree.host.snapshot / "shop/s2.xml").write_bytes(snapshot_xml("s2", "shop", WEB.uuid))
    before = facts(tree.host)
    with pytest.raises(Refused, match=r"'web' lacks its snapshot 's2\.xml'"):
        finish(tree, says("web"))
    assert facts(tree.host) == before


def test_a_snapshot_that_was_deleted_under_the_winning_name_keeps_nobody(tree: Tree) -> None:
    (tree.host.snapshot / "web/s1.xml").unlink()
    assert finish(tree, says("web")) == FinishedRename(WEB.uuid, "web", ("shop",))
    assert convert(layout(tree), Options()).exit_code == 0
    assert not os.path.lexists(tree.host.snapshot / "web/s1.xml")


@pytest.mark.parametrize("told", [None, "shop"])
def test_a_link_that_opens_nothing_loses(tree: Tree, told: str | None) -> None:
    """Its file was taken for deleted, and the way back is closed while there are two names."""
    config = tree.host.config_of("shop").read_bytes()
    (tree.host.store("config") / f"{WEB.uuid}.xml").unlink()
    assert finish(tree, says(told)) == FinishedRename(WEB.uuid, "shop", ("web",))
    assert not os.path.lexists(tree.host.config_of("web"))
    assert convert(layout(tree), Options()).exit_code == 0
    assert tree.host.config_of("shop").read_bytes() == config


def _trash_config(tree: Tree) -> None:
    """As a run does that takes it for deleted."""
    store = tree.host.store("config")
    label = store / "trash" / f"{WEB.uuid}~20260101T000000~undefined~convert"
    label.mkdir(mode=0o700, parents=True)
    (store / f"{WEB.uuid}.xml").rename(label / f"{WEB.uuid}.xml")


def test_a_link_whose_file_was_taken_for_deleted_loses_to_its_equal(tree: Tree) -> None:
    _trash_config(tree)
    assert finish(tree, says(None)) == FinishedRename(WEB.uuid, "shop", ("web",))


def test_a_link_whose_file_was_taken_for_deleted_does_not_lose_to_a_copy(tree: Tree) -> None:
    """Its file would come back to it, and nothing else leads to that."""
    _trash_config(tree)
    shop = tree.host.config_of("shop")
    shop.write_bytes(domain_xml("shop", WEB.uuid, "of another disk"))
    with pytest.raises(Refused, match="differs from it in more than the name"):
        finish(tree, says(None))
    shop.unlink()
    assert convert(layout(tree), Options()).exit_code == 0
    assert tree.host.config_of("web").read_bytes().startswith(b"<!--")


def test_a_link_that_opens_nothing_does_not_win(tree: Tree) -> None:
    (tree.host.store("config") / f"{WEB.uuid}.xml").unlink()
    before = facts(tree.host)
    with pytest.raises(Refused, match="its file is missing from the store"):
        finish(tree, says("web"))
    assert facts(tree.host) == before
    assert tree.host.config_of("web").is_symlink()


def test_the_domain_was_started_and_undefined(tree: Tree) -> None:
    """Its only config is the other name's, which libvirt does not know before its next start."""
    libvirt_clean_up(tree.host, "web")
    (tree.host.status / "web.xml").write_bytes(status_xml("web", WEB.uuid))
    before = facts(tree.host)
    why = r"shop\.xml: it has the UUID of 'web', which runs and has no config"
    with pytest.raises(Refused, match=why):
        finish(tree, says("web"))
    assert facts(tree.host) == before


def test_a_domain_that_takes_the_old_name_while_virsh_is_asked_keeps_its_config(
    tree: Tree,
) -> None:
    web = tree.host.config_of("web")

    def ask(_layout: Layout, _uuid: str) -> str:
        web.unlink()
        web.write_bytes(domain_xml("web", uuid_for("new")))
        return "shop"

    with pytest.raises(Changed):
        finish(tree, ask)
    assert uuid_for("new").encode() in web.read_bytes()
    assert (tree.host.autostart / "web.xml").is_symlink() == WEB.autostart


def test_the_losers_document_is_kept_when_the_winners_takes_its_place(tree: Tree) -> None:
    convert(layout(tree), Options())
    old = tree.host.config_of("web").read_bytes()
    assert finish(tree, says("shop")) is not None
    convert(layout(tree), Options())
    assert old in {path.read_bytes() for path in trashed(tree.host)}
