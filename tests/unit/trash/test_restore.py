"""The trash: listed, restored from and emptied, by the real command line on real files."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_clean_up, libvirt_domrename
from tests.support.process import Done, uuidfs
from tests.support.trees import QEMU_UID, Tree, domain_xml, snapshot_xml, uuid_for
from tests.support.truth import Fact, fact, fingerprint, trashed
from uuidfs.convert.results import Options, RunResult
from uuidfs.errors import NoSuchEntry, Refused
from uuidfs.files import change
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind, Layout
from uuidfs.runtime.domain_locks import Locks
from uuidfs.trash import empty, entries
from uuidfs.trash.old_logs import retire_logs
from uuidfs.trash.restore import restore

NAME = "vm0000"
UUID = uuid_for(NAME)
SNAPSHOT = "snapshot/vm0000/base.xml"
CHECKPOINT = "checkpoint/vm0000/chk1.xml"
KINDS = ("config", "log", "snapshot", "checkpoint")
DAY = 86400.0


def layout(tree: Tree) -> Layout:
    return system(os.fspath(tree.host.root))


def run(tree: Tree, *arguments: str) -> Done:
    return uuidfs(tree.host.root, *arguments)


def convert(tree: Tree) -> None:
    done = run(tree, "convert", "--all")
    assert done.code == 0, done.err


def name_path(tree: Tree, kind: str) -> Path:
    host = tree.host
    return {
        "config": host.config_of(NAME),
        "log": host.log_of(NAME, ".0"),
        "snapshot": host.lib / SNAPSHOT,
        "checkpoint": host.lib / CHECKPOINT,
    }[kind]


def store_path(tree: Tree, kind: str) -> Path:
    entry = {
        "config": f"{UUID}.xml",
        "log": f"{UUID}.log.0",
        "snapshot": f"{UUID}/base.xml",
        "checkpoint": f"{UUID}/chk1.xml",
    }[kind]
    return tree.host.store(kind) / entry


@pytest.fixture
def tree(make_tree: Build) -> Tree:
    """Three converted domains."""
    made = make_tree()
    convert(made)
    return made


def delete(tree: Tree, kind: str) -> Fact:
    """libvirt deletes a file of the first domain; returns what it was."""
    before = fact(store_path(tree, kind))
    if kind == "config":
        tree.host.config_of(NAME).unlink()
    elif kind == "log":
        for path in tree.host.log.glob(f"{NAME}.log*"):  # undefine --remove-logs, then convert
            path.unlink()
    else:
        name_path(tree, kind).unlink()
    convert(tree)
    return before


def listed(tree: Tree, *domains: str) -> list[dict[str, Any]]:
    done = run(tree, "trash", "list", "--json", *domains)
    assert done.json["version"] == 1
    assert done.code == (1 if done.json["problems"] else 0), done.err
    found: list[dict[str, Any]] = done.json["entries"]
    return found


def one(tree: Tree, kind: str) -> str:
    """The id of the only entry for the kind's file."""
    file = store_path(tree, kind).name
    found = [e["id"] for e in listed(tree) if (e["kind"], e["file"]) == (kind, file)]
    assert len(found) == 1
    return str(found[0])


# -- list and show -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_libvirt_deleted_is_listed_with_who_when_and_why(tree: Tree, kind: str) -> None:
    before = time.time()
    was = delete(tree, kind)
    entry = next(e for e in listed(tree) if e["id"] == one(tree, kind))
    assert (entry["uuid"], entry["size"]) == (UUID, os.stat(entry["path"]).st_size)
    assert entry["reason"] == ("undefined" if kind == "config" else "deleted-by-libvirt")
    assert entry["by"] == "convert"
    assert entry["name"] == (None if kind == "config" else NAME)
    when = entries.entries(layout(tree))[0].when
    assert when.tzinfo is not None
    assert before - 1 <= when.timestamp() <= time.time()
    assert fact(Path(entry["path"])) == was, "the trash has another file"
    text = run(tree, "trash", "list").out
    assert text.splitlines()[0].split() == [
        "WHEN",
        "UUID",
        "NAME",
        "KIND",
        "FILE",
        "REASON",
        "BY",
        "SIZE",
        "ID",
    ]
    assert entry["id"] in text


@pytest.mark.parametrize(
    ("command", "by"), [(("reconcile", "--once"), "reconciler"), (("check", "--repair"), "check")]
)
def test_the_trash_says_who_put_it_there(tree: Tree, command: tuple[str, ...], by: str) -> None:
    name_path(tree, "snapshot").unlink()
    assert run(tree, *command).code == 0
    assert [e["by"] for e in listed(tree)] == [by]


def test_what_an_older_version_put_there_is_listed_too(tree: Tree) -> None:
    delete(tree, "config")
    (entry,) = listed(tree)
    inner = Path(entry["path"]).parent
    inner.rename(inner.with_name(inner.name.replace("~convert", "~2")))
    (old,) = listed(tree)
    assert (old["reason"], old["by"], old["uuid"]) == ("undefined", None, UUID)
    assert " - " in run(tree, "trash", "list").out


def test_the_newest_entry_is_last_and_domains_can_be_chosen(tree: Tree) -> None:
    delete(tree, "snapshot")
    libvirt_clean_up(tree.host, "vm0001")
    time.sleep(1.1)  # the time in a trash's name is in seconds
    convert(tree)
    whens = [entry["when"] for entry in listed(tree)]
    assert whens == sorted(whens)
    assert len(set(whens)) == 2
    assert {e["uuid"] for e in listed(tree, NAME)} == {UUID}
    gone = uuid_for("vm0001")
    assert {e["uuid"] for e in listed(tree, gone)} == {gone}
    assert {e["uuid"] for e in listed(tree, "vm0001")} == {gone}, "its config says its name"
    assert len(listed(tree, NAME, gone)) == len(listed(tree))
    assert run(tree, "trash", "list", "never-was").code == 1


def test_an_empty_trash_is_no_error(make_tree: Build) -> None:
    tree = make_tree()
    assert listed(tree) == []
    done = run(tree, "trash", "list")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert run(tree, "trash", "empty", "--older-than", "0s").code == 0


@pytest.mark.parametrize("kind", KINDS)
def test_show_says_all_about_one_entry(tree: Tree, kind: str) -> None:
    delete(tree, kind)
    wanted = one(tree, kind)
    shown = run(tree, "trash", "show", wanted[:6], "--json").json["entry"]
    found = os.stat(shown["path"])
    assert (shown["id"], shown["kind"], shown["uuid"]) == (wanted, kind, UUID)
    assert shown["mode"] == f"{found.st_mode & 0o7777:04o}"
    assert shown["owner"] == found.st_uid
    assert shown["document"] == (NAME if kind == "config" else None)
    assert shown["path"] in run(tree, "trash", "show", wanted).out
    long = "/".join((kind, *shown["path"].split("/")[-2:]))
    assert run(tree, "trash", "show", long, "--json").json["entry"] == shown


def test_an_id_that_is_not_there_or_not_the_only_one_is_refused(tree: Tree) -> None:
    libvirt_clean_up(tree.host, NAME)
    libvirt_clean_up(tree.host, "vm0001")
    convert(tree)
    for command in ("show", "restore", "empty"):
        done = run(tree, "trash", command, "xyz")
        assert (done.code, done.out) == (1, "")
        assert "trash list" in done.err
    first = [e.id for e in entries.entries(layout(tree))]
    with pytest.raises(NoSuchEntry) as caught:
        entries.pick([*entries.entries(layout(tree))] * 2, first[0])
    assert caught.value.matches == 2
    assert run(tree, "trash", "show", "").code == 1


# -- restore -----------------------------------------------------------------------------


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


def refuses(tree: Tree, wanted: str, reason: str) -> None:
    """The restore fails, says why, and changes nothing at all."""

    def everything() -> list[dict[str, tuple[object, ...]]]:
        return [fingerprint(tree.host.root / top) for top in ("etc", "var")]

    before = everything()
    done = run(tree, "trash", "restore", wanted)
    assert (done.code, done.out) == (1, "")
    assert reason in done.err
    assert everything() == before


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


class KilledError(BaseException):
    """As a kill: nothing that expects errors handles it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, point: str, call: Callable[[], object]) -> None:
    def trace(passed: str) -> None:
        if passed == point:
            raise KilledError

    with monkeypatch.context() as context:
        context.setattr(change, "trace", trace)
        with pytest.raises(KilledError):
            call()


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


# -- empty -------------------------------------------------------------------------------


def age(tree: Tree, kind: str, days: float) -> None:
    """Make a kind's trash older: only the names of the directories tell when."""
    for path in tree.host.store(kind).glob("trash/*"):
        uuid, _, reason = path.name.split("~", 2)
        when = time.strftime("%Y%m%dT%H%M%S", time.gmtime(time.time() - days * DAY))
        path.rename(path.with_name(f"{uuid}~{when}~{reason}"))


def test_only_what_is_older_than_the_retention_goes(tree: Tree) -> None:
    delete(tree, "snapshot")
    delete(tree, "config")
    age(tree, "snapshot", 31)
    age(tree, "config", 29)
    planned = run(tree, "trash", "empty", "--dry-run", "--json").json
    assert [e["kind"] for e in planned["removed"]] == ["snapshot"] * len(planned["removed"])
    assert len(planned["removed"]) >= 1
    kept = {
        path
        for path in trashed(tree.host)
        if os.fspath(path) not in {e["path"] for e in planned["removed"]}
    }
    assert "would be removed" in run(tree, "trash", "empty", "--dry-run").out
    assert len(trashed(tree.host)) == len(kept) + len(planned["removed"])
    assert run(tree, "trash", "empty", "--json").json == {**planned, "dry_run": False}
    assert set(trashed(tree.host)) == kept
    assert run(tree, "trash", "empty", "--older-than", "4w").code == 0
    assert not list(tree.host.store("config").glob("trash/*"))


def test_a_retention_of_for_ever_removes_nothing(tree: Tree) -> None:
    delete(tree, "config")
    age(tree, "config", 4000)
    before = trashed(tree.host)
    assert run(tree, "trash", "empty", "--older-than", "forever").code == 0
    assert empty.empty(layout(tree), None).removed == ()
    assert trashed(tree.host) == before
    assert run(tree, "trash", "empty", "--older-than", "soon").code == 2


def test_what_was_trashed_in_the_future_stays(tree: Tree) -> None:
    delete(tree, "config")
    age(tree, "config", -3)
    assert run(tree, "trash", "empty", "--older-than", "0s").code == 0
    assert store_path(tree, "config").name in {path.name for path in trashed(tree.host)}


def test_single_entries_can_be_removed(tree: Tree) -> None:
    delete(tree, "config")
    delete_others = [e["id"] for e in listed(tree) if e["kind"] != "config"]
    assert run(tree, "trash", "empty", one(tree, "config")).code == 0
    assert [e["id"] for e in listed(tree)] == delete_others
    assert run(tree, "trash", "empty", "abc", "--older-than", "1d").code == 2


def test_an_empty_directory_that_a_kill_left_goes_too(tree: Tree) -> None:
    delete(tree, "config")
    left = tree.host.store("config") / f"trash/{UUID}~20200101T000000~undefined~1"
    left.mkdir(mode=0o700)
    empty.empty(layout(tree), 0.0)
    assert not left.exists()


def test_what_uuidfs_did_not_put_there_is_left_and_reported(tree: Tree) -> None:
    delete(tree, "config")
    age(tree, "config", 100)
    top = tree.host.store("config") / "trash"
    victim = tree.host.root / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    ours = next(top.iterdir())
    os.mkfifo(ours / "pipe")
    (ours / "directory").mkdir()
    (ours / "link").symlink_to(victim / "precious")
    (top / "holiday.jpg").write_text("x")
    (top / f"{UUID}~20200101T000000~planted").symlink_to(victim)
    (top / f"{UUID}~20201399T000000~no-date").mkdir()
    loose = top / f"{UUID}~20200101T000000~loose"
    loose.mkdir()
    (loose / "file").write_text("x")
    loose.chmod(0o777)
    foreign = {
        ours / "pipe",
        ours / "directory",
        top / "holiday.jpg",
        loose,
        top / f"{UUID}~20200101T000000~planted",
        top / f"{UUID}~20201399T000000~no-date",
    }
    if os.geteuid() == 0:
        alien = top / f"{UUID}~20200101T000000~alien"
        alien.mkdir(mode=0o755)
        (alien / "file").write_text("x")
        os.chown(alien, QEMU_UID, QEMU_UID)
        foreign.add(alien)
    problems = run(tree, "trash", "list", "--json").json["problems"]
    assert {p["path"] for p in problems} == {os.fspath(path) for path in foreign}
    done = run(tree, "trash", "empty", "--json")
    assert done.code == 1
    assert {p["path"] for p in done.json["problems"]} == {os.fspath(path) for path in foreign}
    assert all(os.path.lexists(path) for path in foreign)
    assert (victim / "precious").read_text() == "x"
    assert (loose / "file").exists()
    assert not os.path.lexists(ours / "link"), "a link of ours' age goes, not what it leads to"
    assert not (ours / f"{UUID}.xml").exists()


def test_a_trash_that_is_a_symlink_is_not_followed(tree: Tree) -> None:
    delete(tree, "config")
    top = tree.host.store("config") / "trash"
    top.rename(tree.host.root / "elsewhere")
    top.symlink_to(tree.host.root / "elsewhere")
    for command in (("list",), ("empty", "--older-than", "0s")):
        done = run(tree, "trash", *command)
        assert done.code == 1
        assert "no symlink" in done.err
    assert list((tree.host.root / "elsewhere").glob("*/*"))


def test_a_link_in_the_trash_is_not_restored(tree: Tree) -> None:
    delete(tree, "config")
    entry = trashed(tree.host)[0]
    entry.rename(tree.host.root / "stolen")
    entry.symlink_to(tree.host.root / "stolen")
    refuses(tree, one(tree, "config"), "a symlink cannot be restored")


# -- logs of undefined domains -----------------------------------------------------------


def retire(tree: Tree, older_than: float | None) -> RunResult:
    return retire_logs(layout(tree), older_than, Options())


def logs(tree: Tree, name: str = NAME) -> list[str]:
    """What there is of a domain's logs, at the names and in the store."""
    return sorted(
        path.name
        for top, stem in ((tree.host.log, name), (tree.host.store("log"), uuid_for(name)))
        for path in top.glob(f"{stem}.log*")
    )


def undefine(tree: Tree, days: float = 40) -> None:
    libvirt_clean_up(tree.host, NAME)
    convert(tree)
    for path in tree.host.store("log").glob(f"{UUID}.log*"):
        os.utime(path, (time.time() - days * DAY,) * 2)


def test_old_logs_of_an_undefined_domain_go_to_the_trash_and_come_back(tree: Tree) -> None:
    undefine(tree)
    others = logs(tree, "vm0001")
    files = {p.name: fact(p) for p in tree.host.store("log").glob(f"{UUID}.log*")}
    result = retire(tree, 30 * DAY)
    assert result.exit_code == 0
    assert [d.uuid for d in result.domains] == [UUID]
    assert logs(tree) == []
    assert logs(tree, "vm0001") == others
    mine = [e for e in entries.entries(layout(tree)) if e.kind is Kind.LOG]
    assert {(e.uuid, e.reason) for e in mine} == {(UUID, "retention")}
    assert {e.file: fact(Path(entries.path_of(layout(tree), e))) for e in mine} == files
    assert retire(tree, 0.0).domains == ()
    for entry in mine:
        restore(layout(tree), entry.id)
    assert {p.name: fact(p) for p in tree.host.store("log").glob(f"{UUID}.log*")} == files


def test_logs_are_kept_for_ever_or_while_one_of_them_is_younger(tree: Tree) -> None:
    undefine(tree)
    before = logs(tree)
    assert retire(tree, None).domains == ()
    assert retire(tree, 50 * DAY).domains == ()
    os.utime(tree.host.store("log") / f"{UUID}.log.0")
    assert retire(tree, 30 * DAY).domains == ()
    assert logs(tree) == before
    assert len(before) == 6


def test_logs_of_a_domain_that_has_a_name_are_kept(tree: Tree) -> None:
    before = logs(tree)
    assert retire(tree, 0.0).domains == ()
    assert logs(tree) == before


def test_logs_are_kept_while_a_document_cannot_be_read(tree: Tree) -> None:
    undefine(tree)
    before = logs(tree)
    tree.host.config_of("torn").write_bytes(b"<domain>")
    assert retire(tree, 30 * DAY).domains == ()
    assert logs(tree) == before


def test_logs_are_kept_while_their_lock_is_held(tree: Tree) -> None:
    undefine(tree)
    before = logs(tree)
    with Locks(layout(tree), 0.0).hold(UUID):
        result = retire(tree, 30 * DAY)
    assert [d.busy for d in result.domains] == [True]
    assert result.exit_code == 75
    assert logs(tree) == before


@pytest.mark.parametrize(
    "document", [domain_xml("again", UUID), b"<domain>"], ids=["a config", "a torn one"]
)
def test_logs_are_kept_when_the_domain_is_defined_after_the_first_scan(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, document: bytes
) -> None:
    undefine(tree)
    before = logs(tree)
    real = Locks.hold

    def define(self: Locks, uuid: str) -> Any:
        tree.host.config_of("again").write_bytes(document)
        return real(self, uuid)

    monkeypatch.setattr(Locks, "hold", define)
    assert retire(tree, 30 * DAY).domains == ()
    assert logs(tree) == before


def test_a_retirement_that_was_killed_is_finished_by_the_next(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    undefine(tree)
    count = len(logs(tree)) // 2
    for _ in range(2 * count - 1):  # each run is killed after one step
        kill_at(monkeypatch, "attempt: step done", lambda: retire(tree, 30 * DAY))
    assert retire(tree, 30 * DAY).exit_code == 0
    assert logs(tree) == []
    assert len([p for p in trashed(tree.host) if p.name.startswith(f"{UUID}.log")]) == count
