"""A file comes back from the trash, or says why it cannot."""

import os
from typing import Any

import pytest

from tests.support.libvirt import libvirt_clean_up, libvirt_domrename
from tests.support.trees import QEMU_UID, Tree, domain_xml, snapshot_xml, uuid_for
from tests.support.truth import fact, trashed
from tests.unit.trash.deleted import (
    KINDS,
    NAME,
    UUID,
    convert,
    delete,
    kill_at,
    layout,
    name_path,
    one,
    refuses,
    run,
    store_path,
)
from uuidfs.errors import Refused
from uuidfs.files import change
from uuidfs.runtime.domain_locks import Locks
from uuidfs.trash.restore import restore


@pytest.mark.parametrize("kind", KINDS)
def test_restore_gives_the_very_file_back_and_the_next_convert_takes_it(
    tree: Tree, kind: str
) -> None:
    was = delete(tree, kind)
    wanted = one(tree, kind)
    count = len(trashed(tree.host))
    done = run(tree, "trash", "restore", wanted, "--json")
    assert done.code == 0, done.out + done.err
    assert done.json["path"] == os.fspath(name_path(tree, kind))
    assert fact(name_path(tree, kind).resolve()) == was
    assert name_path(tree, kind).is_symlink() == (kind == "log")
    assert len(trashed(tree.host)) == count - 1
    assert not list(tree.host.store(kind).glob("trash/*")) or kind == "log"
    advice = done.json["advice"]
    assert "restart the libvirt daemon" in advice if kind != "log" else advice is None
    convert(tree)
    assert name_path(tree, kind).resolve() == store_path(tree, kind)
    assert fact(store_path(tree, kind)) == was
    assert run(tree, "trash", "restore", wanted).code == 1


def test_restore_in_words_says_that_libvirt_has_to_read_it(tree: Tree) -> None:
    delete(tree, "snapshot")
    out = run(tree, "trash", "restore", one(tree, "snapshot")).out
    assert "virsh snapshot-create --redefine vm0000 " in out


def test_a_whole_domain_comes_back_config_first(tree: Tree) -> None:
    libvirt_clean_up(tree.host, NAME)
    convert(tree)
    for kind in ("snapshot", "checkpoint"):
        done = run(tree, "trash", "restore", one(tree, kind))
        assert done.code == 1
        assert "no domain has its UUID" in done.err
    for kind in ("config", "snapshot", "checkpoint"):
        assert run(tree, "trash", "restore", one(tree, kind)).code == 0
    directory = (tree.host.snapshot / NAME).stat()
    assert (directory.st_mode & 0o7777, directory.st_uid) == (0o755, os.geteuid())
    convert(tree)
    assert run(tree, "check").code == 0


def test_a_snapshot_goes_to_the_name_that_its_domain_has_now(tree: Tree) -> None:
    delete(tree, "snapshot")
    libvirt_domrename(tree.host, NAME, "renamed")
    convert(tree)
    done = run(tree, "trash", "restore", one(tree, "snapshot"), "--json")
    assert done.json["path"] == os.fspath(tree.host.snapshot / "renamed/base.xml")


def test_a_config_is_not_restored_over_another_ones_name(tree: Tree) -> None:
    delete(tree, "config")
    tree.host.config_of(NAME).write_bytes(domain_xml(NAME, uuid_for("newcomer")))
    refuses(tree, one(tree, "config"), "something is there already")
    tree.host.config_of(NAME).unlink()
    tree.host.config_of(NAME).symlink_to("/nowhere")
    refuses(tree, one(tree, "config"), "it is a symlink that uuidfs did not make")


def test_a_config_is_not_restored_beside_another_one_of_its_uuid(tree: Tree) -> None:
    delete(tree, "config")
    tree.host.config_of("other").write_bytes(domain_xml("other", UUID))
    refuses(tree, one(tree, "config"), "belongs to the domain 'other'")


def test_a_config_is_not_restored_while_nobody_can_tell_who_has_its_uuid(tree: Tree) -> None:
    delete(tree, "config")
    tree.host.config_of("torn").write_bytes(b"<domain>")
    refuses(tree, one(tree, "config"), "torn.xml")


@pytest.mark.parametrize("kind", ["config", "snapshot", "checkpoint"])
def test_a_newer_version_in_the_store_is_not_put_at_risk(tree: Tree, kind: str) -> None:
    delete(tree, kind)
    store_path(tree, kind).parent.mkdir(exist_ok=True)
    store_path(tree, kind).write_bytes(b"an orphan that the next convert trashes")
    refuses(tree, one(tree, kind), "another version is there")


@pytest.mark.parametrize("kind", ["snapshot", "checkpoint"])
def test_metadata_is_not_restored_over_new_metadata(tree: Tree, kind: str) -> None:
    delete(tree, kind)
    name_path(tree, kind).parent.mkdir(exist_ok=True)
    name_path(tree, kind).write_bytes(
        snapshot_xml(name_path(tree, kind).stem, NAME, UUID, f"domain{kind}")
    )
    refuses(tree, one(tree, kind), "something is there already")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_metadata_is_not_restored_into_a_directory_of_qemus_user(tree: Tree) -> None:
    delete(tree, "checkpoint")
    directory = tree.host.checkpoint / NAME
    directory.mkdir(exist_ok=True)
    os.chown(directory, QEMU_UID, QEMU_UID)
    refuses(tree, one(tree, "checkpoint"), "not libvirt's")
    directory.rmdir()
    directory.symlink_to(tree.host.root)
    refuses(tree, one(tree, "checkpoint"), "no symlink")


def test_a_log_whose_place_is_taken_gets_the_next_free_number(tree: Tree) -> None:
    was = delete(tree, "log")
    for suffix in ("", ".0", ".4"):
        tree.host.log_of(NAME, suffix).write_text(f"new{suffix}")
    convert(tree)
    wanted = one(tree, "log")
    done = run(tree, "trash", "restore", wanted, "--json")
    assert done.json["path"] == os.fspath(tree.host.log_of(NAME, ".5"))
    assert fact(tree.host.log_of(NAME, ".5").resolve()) == was
    assert tree.host.log_of(NAME, ".0").read_text() == "new.0"
    convert(tree)
    assert fact(tree.host.log_of(NAME, ".5").resolve()) == was
    assert run(tree, "check").code == 0


def test_a_log_of_no_domain_goes_back_to_its_uuid(tree: Tree) -> None:
    was = delete(tree, "log")
    libvirt_clean_up(tree.host, NAME)
    convert(tree)
    done = run(tree, "trash", "restore", one(tree, "log"), "--json")
    assert (done.json["path"], done.json["name"]) == (os.fspath(store_path(tree, "log")), None)
    assert fact(store_path(tree, "log")) == was
    assert not os.path.lexists(tree.host.log_of(NAME, ".0"))


def test_restore_waits_for_the_domains_lock_as_long_as_the_configuration_says(tree: Tree) -> None:
    delete(tree, "config")
    config = tree.host.root / "etc/uuidfs/uuidfs.toml"
    config.parent.mkdir(mode=0o755)
    config.write_text('lock-timeout = "0s"\n')
    config.chmod(0o644)
    wanted = one(tree, "config")
    with Locks(layout(tree), 0.0).hold(UUID):
        done = run(tree, "trash", "restore", wanted)
    assert done.code == 75
    assert run(tree, "trash", "restore", wanted).code == 0


@pytest.mark.parametrize("folded", [False, True], ids=["at once", "after a convert"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_restore_that_was_killed_is_finished_by_the_next(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, kind: str, folded: bool
) -> None:
    was = delete(tree, kind)
    wanted = one(tree, kind)
    kill_at(monkeypatch, "restore: linked", lambda: restore(layout(tree), wanted))
    assert any(os.path.samefile(name_path(tree, kind), path) for path in trashed(tree.host))
    if folded:
        convert(tree)
    done = run(tree, "trash", "restore", wanted)
    assert done.code == 0, done.err
    assert fact(name_path(tree, kind).resolve()) == was
    assert not any(os.path.samefile(name_path(tree, kind), path) for path in trashed(tree.host))


def test_a_log_that_was_renumbered_and_killed_keeps_its_number(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = delete(tree, "log")
    tree.host.log_of(NAME, ".0").write_text("new")
    convert(tree)
    wanted = one(tree, "log")
    kill_at(monkeypatch, "restore: linked", lambda: restore(layout(tree), wanted))
    assert restore(layout(tree), wanted).path == os.fspath(tree.host.log_of(NAME, ".1"))
    assert fact(tree.host.log_of(NAME, ".1").resolve()) == was
    assert not os.path.lexists(tree.host.log_of(NAME, ".2"))


def test_a_log_killed_between_link_and_file_leaves_nothing_that_stays(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = delete(tree, "log")
    wanted = one(tree, "log")
    kill_at(monkeypatch, "restore: log's link made", lambda: restore(layout(tree), wanted))
    assert tree.host.log_of(NAME, ".0").is_symlink()
    convert(tree)
    assert not os.path.lexists(tree.host.log_of(NAME, ".0"))
    assert restore(layout(tree), wanted).path == os.fspath(tree.host.log_of(NAME, ".0"))
    assert fact(tree.host.log_of(NAME, ".0").resolve()) == was


def test_a_save_by_libvirt_during_the_restore_wins(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(tree, "config")
    wanted = one(tree, "config")
    real = change.link

    def late(*arguments: Any) -> None:
        tree.host.config_of(NAME).write_bytes(domain_xml(NAME, UUID, "defined meanwhile"))
        real(*arguments)

    monkeypatch.setattr(change, "link", late)
    with pytest.raises(Refused, match="already"):
        restore(layout(tree), wanted)
    assert b"meanwhile" in tree.host.config_of(NAME).read_bytes()
    assert len(trashed(tree.host)) == 1


def test_a_link_in_the_trash_is_not_restored(tree: Tree) -> None:
    delete(tree, "config")
    entry = trashed(tree.host)[0]
    entry.rename(tree.host.root / "stolen")
    entry.symlink_to(tree.host.root / "stolen")
    refuses(tree, one(tree, "config"), "a symlink cannot be restored")
