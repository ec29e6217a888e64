"""The whole tree at a glance: who is who, and what could not be read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.rights import root_only
from tests.support.trees import QEMU_UID, Domain, Tree, domain_xml, snapshot_xml, uuid_for
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind
from uuidfs.survey import references
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import Identity
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scan import Scan
from uuidfs.survey.scanner import scan_all, scan_domain

WEB = Domain("web", uuid_for("web"), snapshots=("s1",), log_suffixes=("", ".0"))
DB = Domain("db", uuid_for("db"), log_suffixes=("",))
GUEST = Domain("guest", uuid_for("guest"), transient=True, log_suffixes=())


@pytest.fixture
def tree(make_tree: Build) -> Tree:
    return make_tree(WEB, DB, GUEST)


def scanned(tree: Tree, how: Callable[[Documents], Scan] = scan_all) -> Scan:
    with TrustedDirs(system(os.fspath(tree.host.root))) as dirs:
        return how(Documents(dirs, read_lxml))


def converted(tree: Tree) -> None:
    assert convert(system(os.fspath(tree.host.root)), Options()).exit_code == 0


def problems(scan: Scan) -> dict[str, str]:
    return {Path(problem.path).name: problem.reason for problem in scan.problems}


def test_names_and_uuids_come_from_configs_and_of_transient_domains_from_the_status(
    tree: Tree,
) -> None:
    scan = scanned(tree)
    assert scan.uuid_of == {"web": WEB.uuid, "db": DB.uuid, "guest": GUEST.uuid}
    assert scan.source_of == {"web": "config", "db": "config", "guest": "status"}
    assert scan.configs == {"web.xml": None, "db.xml": None}
    assert scan.problems == []
    assert not scan.incomplete


def test_a_converted_tree_says_the_same_and_no_config_is_read(tree: Tree) -> None:
    before = scanned(tree).uuid_of
    converted(tree)
    read: list[bytes] = []

    def reads(data: bytes) -> Identity | str:
        read.append(data)
        return read_lxml(data)

    with TrustedDirs(system(os.fspath(tree.host.root))) as dirs:
        scan = scan_all(Documents(dirs, reads))
    assert scan.uuid_of == before
    assert scan.configs == {
        "web.xml": f"by-uuid/{WEB.uuid}.xml",
        "db.xml": f"by-uuid/{DB.uuid}.xml",
    }
    assert scan.config_store == {f"{WEB.uuid}.xml", f"{DB.uuid}.xml"}
    assert sorted(scan.log_store[WEB.uuid]) == ["", ".0"]
    assert sorted(scan.logs_of_uuid[WEB.uuid]) == ["web.log", "web.log.0"]
    assert scan.meta_store[Kind.SNAPSHOT] == {WEB.uuid}
    assert [b"<domstatus" in data for data in read] == [True], "only the transient one's"


def test_two_names_of_one_uuid_are_both_there(tree: Tree) -> None:
    tree.host.config_of("shop").write_bytes(domain_xml("shop", WEB.uuid))
    assert sorted(scanned(tree).names_of[WEB.uuid]) == ["shop", "web"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<domain>", "not well-formed"),
        (b"<network><name>bad</name></network>", "root element"),
        (domain_xml("other", uuid_for("other")), "'other'"),
    ],
    ids=["torn", "of something else", "of another name"],
)
def test_a_config_that_tells_nothing_makes_the_scan_incomplete(
    tree: Tree, data: bytes, reason: str
) -> None:
    tree.host.config_of("bad").write_bytes(data)
    scan = scanned(tree)
    assert "bad" not in scan.uuid_of
    assert set(problems(scan)) == {"bad.xml"}
    assert reason in problems(scan)["bad.xml"]
    assert scan.incomplete, "it may be the config that a store's file belongs to"
    assert set(scan.uuid_of) == {"web", "db", "guest"}, "the others are told all the same"


def test_somebody_elses_link_is_a_problem_and_ours_is_none(tree: Tree) -> None:
    tree.host.config_of("far").symlink_to("/etc/passwd")
    scan = scanned(tree)
    assert problems(scan) == {"far.xml": "it is a symlink that uuidfs did not make"}
    assert scan.incomplete


@root_only
def test_a_status_file_of_qemus_user_names_no_domain(tree: Tree) -> None:
    os.chown(tree.host.status / "guest.xml", QEMU_UID, QEMU_UID)
    scan = scanned(tree)
    assert set(scan.uuid_of) == {"web", "db"}
    assert scan.incomplete


def test_links_in_a_directory_of_no_domain_are_noted_for_the_uuid_that_they_lead_to(
    tree: Tree,
) -> None:
    converted(tree)
    (tree.host.snapshot / "web").rename(tree.host.snapshot / "elsewhere")
    scan = scanned(tree)
    assert list(scan.strays[WEB.uuid]) == [(Kind.SNAPSHOT, "elsewhere")]


def test_what_a_kill_left_is_told_from_what_is_not_ours(tree: Tree) -> None:
    converted(tree)
    store = tree.host.store("config")
    (store / f"{WEB.uuid}~link").symlink_to("nowhere")
    (store / "holiday.jpg").touch()
    (tree.host.store("log") / f"{DB.uuid}~moved").touch()
    scan = scanned(tree)
    assert scan.leftovers == {WEB.uuid: [(Kind.CONFIG, False, f"{WEB.uuid}~link")]}
    assert [Path(path).name for path in scan.strangers] == ["holiday.jpg"]
    assert scan.moved == {DB.uuid}
    assert not scan.incomplete


def test_one_domain_is_scanned_without_a_look_into_the_others(tree: Tree) -> None:
    converted(tree)
    tree.host.config_of("bad").write_bytes(b"<domain>")
    tree.host.log_of("web", ".1").write_bytes(b"new\n")
    scan = scanned(tree, lambda documents: scan_domain(documents, "web", WEB.uuid))
    assert scan.uuid_of == {"web": WEB.uuid}
    assert scan.source_of == {"web": "hook"}
    assert sorted(scan.logs) == ["web.log", "web.log.0", "web.log.1"]
    assert scan.problems == []
    assert scan.incomplete, "so that nothing counts as unreferenced"


def test_the_order_of_uuids_is_that_of_the_names_then_those_without_one(tree: Tree) -> None:
    converted(tree)
    tree.host.config_of("db").unlink()
    assert scanned(tree).uuids() == [GUEST.uuid, WEB.uuid, DB.uuid]


def test_a_second_scan_with_the_same_directories_finds_what_came_since(tree: Tree) -> None:
    tree.host.snapshot.rename(tree.host.lib / "away")
    with TrustedDirs(system(os.fspath(tree.host.root))) as dirs:
        documents = Documents(dirs, read_lxml)
        assert scan_all(documents).meta_names[Kind.SNAPSHOT] == set()
        (tree.host.snapshot / "db").mkdir(parents=True)
        (tree.host.snapshot / "db/s1.xml").write_bytes(snapshot_xml("s1", "db", DB.uuid))
        assert scan_all(documents).meta_names[Kind.SNAPSHOT] == {"db"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs directories of another user: root")
@pytest.mark.parametrize("planted", ["links in one", "directories"])
def test_what_qemus_user_plants_is_read_up_to_a_bound(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    monkeypatch.setattr(references, "FOREIGN_NAMES", 30)
    converted(tree)
    moved = tree.host.snapshot / "moved"
    moved.mkdir()
    for number in range(50):  # root's own are read, however many there are
        (moved / f"s{number}.xml").symlink_to(f"../../../by-uuid/snapshot/{WEB.uuid}/s{number}.xml")
    texts = [f"../../../by-uuid/snapshot/{uuid_for(str(number))}/s1.xml" for number in range(50)]
    for number, text in enumerate(texts):
        above = tree.host.snapshot / ("planted" if planted == "links in one" else f"p{number}")
        if not above.exists():
            above.mkdir()
            os.chown(above, QEMU_UID, QEMU_UID)
        (above / f"s{number}.xml").symlink_to(text)
    scan = scanned(tree)
    assert WEB.uuid in scan.strays
    assert 10 < len(scan.strays) <= 31
    [told] = scan.problems
    assert "the rest is not read" in told.reason
    assert not scan.incomplete, "what is planted keeps nothing from the trash"
