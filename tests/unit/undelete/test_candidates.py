"""What can come back, and what an undelete would do; the live tests do it."""

import os
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import Done, uuidfs
from tests.support.rights import root_only
from tests.support.secrets import NAME, NVRAM, UUID, WEB, furnish, kept, undefine, with_secrets
from tests.support.trees import Domain, Tree, domain_xml, snapshot_xml, uuid_for

pytestmark = root_only

OTHER = Domain("db", uuid_for("db"))


def run(tree: Tree, *words: str) -> Done:
    return uuidfs(tree.host.root, *words)


def convert(tree: Tree) -> None:
    done = run(tree, "convert", "--all")
    assert done.code == 0, done


def listed(tree: Tree) -> list[dict[str, object]]:
    done = run(tree, "undelete", "--json")
    assert done.json["version"] == 1
    found: list[dict[str, object]] = done.json["domains"]
    return found


def planned(tree: Tree, *words: str) -> list[tuple[str, str]]:
    done = run(tree, "undelete", *words, "--dry-run", "--json")
    assert done.code == 0, done
    return [(step["action"], step["subject"]) for step in done.json["steps"]]


@pytest.fixture
def tree(make_tree: Build) -> Tree:
    """Two domains, converted."""
    made = make_tree(WEB, OTHER)
    furnish(made)
    for name, text in (("s2", "<parent><name>s1</name></parent>"), ("s1", "<active>1</active>")):
        path = made.host.snapshot / NAME / f"{name}.xml"
        document = snapshot_xml(name, NAME, UUID).decode()
        path.write_text(document.replace("</domainsnapshot>", f"{text}</domainsnapshot>"))
    convert(made)
    return made


@pytest.mark.parametrize("seen", [True, False])
def test_all_parts_of_a_domain_that_is_gone_are_listed(tree: Tree, seen: bool) -> None:
    assert listed(tree) == []
    undefine(tree.host)
    if seen:
        convert(tree)
    [one] = listed(tree)
    assert (one["uuid"], one["name"], one["begun"]) == (UUID, NAME, False)
    assert (one["when"] is not None) is seen
    parts = one["parts"]
    assert isinstance(parts, list)
    kinds = [part["kind"] for part in parts]
    assert sorted(kinds) == ["checkpoint", "config", *["kept"] * 3, "snapshot", "snapshot"]
    assert all(os.path.lexists(part["path"]) for part in parts)
    text = run(tree, "undelete").out
    assert "config, 2 snapshots, 1 checkpoint, autostart, nvram, tpm" in text


def test_the_plan_is_in_libvirts_order(tree: Tree) -> None:
    undefine(tree.host)
    convert(tree)
    root = os.fspath(tree.host.root)
    steps = planned(tree, NAME)
    assert steps[:8] == [
        ("put-back", f"{root}{NVRAM}"),
        ("put-back", f"{root}/var/lib/libvirt/swtpm/{UUID}"),
        ("define", NAME),
        ("snapshot", "s1"),
        ("snapshot", "s2"),
        ("checkpoint", "c1"),
        ("autostart", NAME),
        steps[7],
    ]
    assert [action for action, _ in steps[7:]] == ["forget"] * 7
    assert steps[-1][1].endswith(f"{UUID}.xml")  # the definition last
    said = run(tree, "undelete", NAME, "--dry-run").out
    assert "virsh snapshot-create web --redefine --current: s1" in said


def test_nothing_is_changed_by_a_look(tree: Tree) -> None:
    undefine(tree.host)

    def all_names() -> list[tuple[str, int]]:
        paths = [tree.host.root / "etc", tree.host.root / "var"]
        found = [path for top in paths for path in top.rglob("*")]
        return sorted((str(path), path.lstat().st_ctime_ns) for path in found)

    before = all_names()
    listed(tree)
    planned(tree, NAME)
    planned(tree, UUID[:6], "--as", "shop")
    done = run(tree, "undelete", NAME)
    assert (done.code, "needs a libvirt daemon" in done.err) == (2, True)
    assert all_names() == before


def test_a_domain_is_found_by_name_uuid_and_beginning(tree: Tree) -> None:
    undefine(tree.host)
    convert(tree)
    for word in (NAME, UUID, UUID.upper(), UUID[:5], "we"):
        assert ("define", NAME) in planned(tree, word)
    assert run(tree, "undelete", "nobody", "--dry-run").code == 1
    there = run(tree, "undelete", "db", "--dry-run")
    assert (there.code, "only what is gone" in there.err) == (2, True)
    for words in (["--as", "x"], ["--dry-run"]):
        assert run(tree, "undelete", *words).code == 2


def test_two_domains_of_one_name_are_told_by_their_uuids(tree: Tree) -> None:
    undefine(tree.host)
    convert(tree)
    second = uuid_for("another")
    tree.host.config_of(NAME).write_bytes(domain_xml(NAME, second))
    convert(tree)
    tree.host.config_of(NAME).unlink()
    convert(tree)
    done = run(tree, "undelete", NAME, "--dry-run")
    assert (done.code, UUID in done.err, second in done.err) == (2, True, True)
    assert ("define", NAME) in planned(tree, second)


def age(tree: Tree, kind: str, minutes: int) -> None:
    """Make what is in a trash that much older: the labels alone tell when."""
    top = kept(tree.host).parent if kind == "kept" else tree.host.store(kind)
    for path in (top / "trash").iterdir():
        uuid, when, rest = path.name.split("~", 2)
        path.rename(path.with_name(f"{uuid}~20200101T00{minutes:02}{when[-2:]}~{rest}"))


def test_only_what_went_with_the_newest_definition_comes_back(tree: Tree) -> None:
    undefine(tree.host)
    convert(tree)
    for kind in ("config", "snapshot", "checkpoint", "kept"):
        age(tree, kind, 10)
    # It comes back by hand, gets a snapshot, and goes once more.
    tree.host.config_of(NAME).write_bytes(with_secrets(domain_xml(NAME, UUID, "second")))
    (tree.host.snapshot / NAME).mkdir()
    (tree.host.snapshot / NAME / "s3.xml").write_bytes(snapshot_xml("s3", NAME, UUID))
    convert(tree)
    undefine(tree.host)
    convert(tree)
    steps = planned(tree, UUID)
    assert [subject for action, subject in steps if action in {"snapshot", "checkpoint"}] == ["s3"]
    assert "put-back" not in [action for action, _ in steps]


def test_a_snapshot_that_was_deleted_long_before_stays_deleted(tree: Tree) -> None:
    (tree.host.snapshot / NAME / "s2.xml").unlink()
    convert(tree)
    age(tree, "snapshot", 10)
    undefine(tree.host)
    convert(tree)
    assert [subject for action, subject in planned(tree, UUID) if action == "snapshot"] == ["s1"]


def test_one_that_went_a_moment_before_went_with_it(tree: Tree) -> None:
    """A pass can come between the metadata and the config that undefine removes."""
    for path in (tree.host.snapshot / NAME).glob("*"):
        path.unlink()
    (tree.host.snapshot / NAME).rmdir()
    convert(tree)
    undefine(tree.host)
    convert(tree)
    assert [subject for action, subject in planned(tree, UUID) if action == "snapshot"] == [
        "s1",
        "s2",
    ]


def test_a_name_that_is_taken_needs_another_one(tree: Tree) -> None:
    undefine(tree.host)
    convert(tree)
    done = run(tree, "undelete", UUID, "--dry-run", "--as", "db")
    assert (done.code, "'db' is taken" in done.err) == (1, True)
    for name in ("a/b", ".", ""):
        assert run(tree, "undelete", UUID, "--dry-run", "--as", name).code == 2
    assert ("define", "shop") in planned(tree, UUID, "--as", "shop")


def test_a_file_that_another_domain_uses_is_not_shared(tree: Tree) -> None:
    undefine(tree.host)
    convert(tree)
    other = uuid_for("new")
    tree.host.config_of(NAME).write_bytes(with_secrets(domain_xml(NAME, other)))
    (tree.host.root / NVRAM[1:]).write_bytes(b"the new one's\n")
    convert(tree)
    own = f"{tree.host.root}{Path(NVRAM).parent}/{UUID}_VARS.fd"
    assert ("put-back", own) in planned(tree, UUID, "--as", "shop")


def test_one_that_was_cut_off_is_listed_and_goes_on(tree: Tree) -> None:
    undefine(tree.host)
    convert(tree)
    [label] = (tree.host.store("config") / "trash").iterdir()
    tree.host.config_of(NAME).write_bytes(with_secrets(domain_xml(NAME, UUID, "first")))
    assert listed(tree) == []  # somebody has defined it
    kept(tree.host).mkdir()
    kept(tree.host, "~undelete").symlink_to(label.name)
    convert(tree)
    assert [one["begun"] for one in listed(tree)] == [True]
    actions = [action for action, _ in planned(tree, UUID)]
    assert "define" not in actions
    assert "put-back" not in actions
    assert actions.count("snapshot") == 2


def test_documents_that_are_not_its_own_stay_in_the_trash(tree: Tree) -> None:
    undefine(tree.host)
    convert(tree)
    [path] = (tree.host.store("snapshot") / "trash").glob("*/s2.xml")
    path.write_bytes(snapshot_xml("s2", NAME, uuid_for("db")))
    done = run(tree, "undelete", UUID, "--dry-run", "--json")
    assert done.code == 1
    assert [problem["path"] for problem in done.json["left"]] == [str(path)]
    [config] = (tree.host.store("config") / "trash").glob("*/*.xml")
    config.write_bytes(b"garbage")
    done = run(tree, "undelete", "--json")
    assert (done.code, done.json["domains"]) == (1, [])
    assert [problem["path"] for problem in done.json["problems"]] == [str(config)]


def test_shells_complete_the_names_of_what_is_gone(tree: Tree) -> None:
    undefine(tree.host)
    line = f"uuidfs --root {tree.host.root} undelete "
    env = {"_UUIDFS_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "4"}
    done = uuidfs(None, env=env)
    assert done.out.split() == [NAME]
