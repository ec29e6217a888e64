"""Keepsakes are made, renewed and dropped, and go to the trash with their domain."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.process import Done, uuidfs
from tests.support.rights import root_only
from tests.support.secrets import (
    NAME,
    UUID,
    kept,
    nvram,
    save,
    tpm,
    trashed,
    undefine,
)
from tests.support.trees import QEMU_UID, Host, Tree
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.firmware.run import FirmwareOptions, convert_firmware
from uuidfs.keepsakes import tend
from uuidfs.keepsakes.tend import keeper
from uuidfs.layout.connections import system

pytestmark = root_only

TPM = "tpm~tpm2~tpm2-00.permall"


def run(tree: Tree, *words: str) -> Done:
    return uuidfs(tree.host.root, *words)


def reconcile(tree: Tree, *, secrets: bool = True) -> None:
    """A pass of the reconciler, which comes back soon: it keeps managed saves, too."""
    layout = system(os.fspath(tree.host.root))
    convert_firmware(layout, FirmwareOptions(lock_timeout=0.0))
    made = keeper(secrets=secrets, saves=True, by="reconciler")
    result = convert(layout, Options(by="reconciler", keeper=made))
    assert result.exit_code == 0, result


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all had been quiet for a while."""
    monkeypatch.setattr(tend, "SETTLED", -1.0)
    monkeypatch.setattr(tend, "TOGETHER", -1.0)


def names(tree: Tree) -> set[str]:
    return {path.name for path in kept(tree.host).glob("*")}


def test_each_is_a_second_name_that_root_alone_can_reach(tree: Tree) -> None:
    reconcile(tree)
    assert names(tree) == {"nvram", "save", TPM, "autostart"}
    for name, path in (("nvram", nvram), ("save", save), (TPM, tpm)):
        assert os.path.samefile(kept(tree.host, name), path(tree.host))
    for directory in (kept(tree.host), kept(tree.host).parent):
        found = directory.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, 0)


def test_a_conversion_by_hand_keeps_no_managed_save(tree: Tree) -> None:
    """Nobody would drop it once the guest has gone on from it, and it is as large as the guest."""
    assert run(tree, "convert", "--all").code == 0
    assert names(tree) == {"nvram", TPM, "autostart"}


def test_a_second_look_changes_nothing(tree: Tree) -> None:
    reconcile(tree)

    def looks() -> dict[Path, tuple[int, int]]:
        found = {path: path.lstat() for path in kept(tree.host).glob("*")}
        return {path: (each.st_ino, each.st_ctime_ns) for path, each in found.items()}

    before = looks()
    reconcile(tree)
    assert looks() == before


def test_what_was_replaced_by_a_rename_is_renewed(tree: Tree) -> None:
    reconcile(tree)
    new = tpm(tree.host).with_name("new")
    new.write_bytes(b"newer\n")
    new.rename(tpm(tree.host))
    reconcile(tree)
    assert kept(tree.host, TPM).read_bytes() == b"newer\n"


def test_a_save_that_a_start_used_up_is_dropped_at_once(tree: Tree) -> None:
    reconcile(tree)
    save(tree.host).unlink()
    reconcile(tree)
    assert names(tree) == {"nvram", TPM, "autostart"}


def test_what_went_just_now_may_have_gone_with_its_domain(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look can come between the files and the config that undefine removes."""
    reconcile(tree)
    nvram(tree.host).unlink()
    tpm(tree.host).unlink()
    (tree.host.autostart / f"{NAME}.xml").unlink()
    reconcile(tree)
    assert names(tree) == {"nvram", "save", TPM, "autostart"}
    settle(monkeypatch)
    reconcile(tree)
    # The variables may have gone on the word of another domain: then this is all that is left.
    assert names(tree) == {"nvram", "save"}


def test_with_its_domain_it_goes_to_the_trash(tree: Tree) -> None:
    reconcile(tree)
    files = {name: kept(tree.host, name).stat().st_ino for name in ("nvram", "save", TPM)}
    undefine(tree.host)
    reconcile(tree)
    assert not kept(tree.host).exists()
    for name, inode in files.items():
        [path] = trashed(tree.host, name)
        assert path.stat().st_ino == inode
        assert path.parent.name.startswith(f"{UUID}~")
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(trashed(tree.host, "autostart")) == 1


def test_a_save_of_a_guest_that_has_run_since_is_never_kept(tree: Tree) -> None:
    """Without a reconciler for a while: it would be loaded over disks that have changed."""
    reconcile(tree)
    save(tree.host).unlink()
    time.sleep(0.02)
    with (tree.host.log / f"{NAME}.log").open("a") as log:
        log.write("shutting down\n")
    undefine(tree.host)
    reconcile(tree)
    assert trashed(tree.host, "save") == []
    assert len(trashed(tree.host, "nvram")) == 1


def test_nor_one_of_a_guest_that_a_power_cut_ended(tree: Tree) -> None:
    """Only its start is in the log, from before libvirt removed the save."""
    written = save(tree.host).stat().st_mtime
    log = tree.host.log / f"{NAME}.log"
    os.utime(log, (written, written))
    reconcile(tree)
    os.utime(save(tree.host), (written - 90, written - 90))
    undefine(tree.host)
    reconcile(tree)
    assert trashed(tree.host, "save") == []


def test_without_a_log_nobody_can_tell_that(tree: Tree) -> None:
    reconcile(tree)
    for path in tree.host.log.glob(f"{NAME}.log*"):
        path.unlink()
    for path in tree.host.store("log").glob(f"{UUID}.log*"):
        path.unlink()
    undefine(tree.host)
    reconcile(tree)
    assert trashed(tree.host, "save") == []


def test_secrets_are_not_kept_where_the_configuration_says_so(tree: Tree) -> None:
    reconcile(tree)
    path = tree.host.root / "etc/uuidfs/uuidfs.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[trash]\nkeep-secrets = false\n")
    assert run(tree, "convert", "--all").code == 0
    # Whose the variables are has to be known while the domain is there: they go with it.
    assert names(tree) == {"nvram", "autostart"}
    undefine(tree.host)
    assert run(tree, "convert", "--all").code == 0
    assert [e["file"] for e in entries(tree)] == ["autostart"]


def entries(tree: Tree) -> list[dict[str, str]]:
    found = run(tree, "trash", "list", "--json").json["entries"]
    return [entry for entry in found if entry["kind"] == "kept"]


def test_the_trash_lists_shows_and_really_empties_it(tree: Tree) -> None:
    reconcile(tree)
    undefine(tree.host)
    reconcile(tree)
    found = entries(tree)
    assert {entry["file"] for entry in found} == {"nvram", "save", TPM, "autostart"}
    wanted = next(entry["id"] for entry in found if entry["file"] == "nvram")
    assert run(tree, "trash", "show", wanted).code == 0
    refused = run(tree, "trash", "restore", wanted)
    assert (refused.code, f"uuidfs undelete {UUID}" in refused.err) == (1, True)
    inodes = [trashed(tree.host, name)[0].stat().st_ino for name in ("nvram", "save", TPM)]
    assert run(tree, "trash", "empty", "--older-than", "0s").code == 0
    left = {path.stat().st_ino for path in tree.host.root.rglob("*") if path.is_file()}
    assert left.isdisjoint(inodes)


def test_revert_leaves_the_files_with_one_name(tree: Tree) -> None:
    reconcile(tree)
    assert run(tree, "revert", NAME).code == 0
    assert names(tree) == {"nvram"}
    assert run(tree, "convert", "--all").code == 0
    assert run(tree, "revert", "--all").code == 0
    assert not kept(tree.host).parent.exists()
    assert [path(tree.host).stat().st_nlink for path in (nvram, save, tpm)] == [1, 1, 1]


def test_revert_of_all_keeps_what_is_of_no_domain_any_more(tree: Tree) -> None:
    reconcile(tree)
    undefine(tree.host)
    done = run(tree, "revert", "--all")
    assert done.code == 0, done
    assert len(trashed(tree.host, "nvram")) == 1


def test_a_dry_run_makes_none(tree: Tree) -> None:
    assert run(tree, "convert", "--all", "--dry-run").code == 0
    assert not kept(tree.host).parent.exists()


PLANTS = ("link", "hard link", "fifo", "directory", "owner")


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("where", [save, tpm])
def test_what_qemus_user_plants_is_not_kept(
    tree: Tree, plant: str, where: Callable[[Host], Path]
) -> None:
    path = where(tree.host)
    secret = tree.host.root / "var/lib/libvirt/secret"
    secret.write_bytes(b"root's\n")
    path.unlink()
    if plant == "link":
        path.symlink_to(secret)
    elif plant == "hard link":
        os.link(secret, path)
    elif plant == "fifo":
        os.mkfifo(path)
    elif plant == "directory":
        path.mkdir()
    else:
        path.write_bytes(b"somebody's\n")
        os.chown(path, QEMU_UID + 12345, QEMU_UID)
    reconcile(tree)
    assert len(names(tree)) == 3
    assert secret.stat().st_nlink == (2 if plant == "hard link" else 1)
    if plant == "directory":
        path.rmdir()
    undefine(tree.host)
    reconcile(tree)
    assert secret.read_bytes() == b"root's\n"


@pytest.mark.parametrize("top", ["nvram", "save", "../swtpm"])
def test_a_directory_that_is_a_link_is_not_followed(tree: Tree, top: str) -> None:
    """Only /var/lib/libvirt/qemu is that user's; the last is for completeness."""
    place = Path(os.path.normpath(tree.host.lib / top))
    place.rename(place.with_name("elsewhere"))
    place.symlink_to("elsewhere")
    reconcile(tree)
    assert len(names(tree)) == 3


def test_a_link_in_the_place_of_nvram_stops_no_conversion(tree: Tree) -> None:
    """QEMU's user can make one; it is told, and the domain's other files move."""
    place = nvram(tree.host).parent
    place.rename(place.with_name("elsewhere"))
    place.symlink_to("elsewhere")
    done = run(tree, "convert", "--all")
    assert (done.code, "no symlink" in done.err) == (1, True)
    assert tree.host.config_of(NAME).is_symlink()
