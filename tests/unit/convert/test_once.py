"""autostart/NAME.xml.once follows its domain: a rename, a new owner of the name, an undefine."""

import os
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_clean_up, libvirt_domrename, libvirt_save
from tests.support.process import uuidfs
from tests.support.trees import Domain, Host, Tree, build, domain_xml, uuid_for
from tests.unit.convert.killing import at_point
from uuidfs.check import check
from uuidfs.convert import run
from uuidfs.convert.results import Options, RunResult
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind, Layout
from uuidfs.reconcile import fast_path
from uuidfs.reconcile.names import Names
from uuidfs.reconcile.queue import ChangedName

WEB, DB = Domain("web", uuid_for("web")), Domain("db", uuid_for("db"))


def layout_of(tree: Tree) -> Layout:
    return system(os.fspath(tree.host.root))


def convert(tree: Tree) -> RunResult:
    done = run.convert(layout_of(tree), Options())
    assert done.exit_code == 0, [domain.error for domain in done.domains]
    return done


def mark(host: Host, name: str) -> None:
    """``virsh autostart --once NAME`` (11.3, 12.8): a link that is there already is as good."""
    path = host.autostart / f"{name}.xml.once"
    if not path.is_symlink():
        path.symlink_to(f"/etc/libvirt/qemu/{name}.xml")


def marks(host: Host) -> dict[str, str]:
    """The marks, each with what it says."""
    found = sorted(host.autostart.glob("*.once"))
    return {path.name.removesuffix(".xml.once"): os.readlink(path) for path in found}


def starts(*names: str) -> dict[str, str]:
    """The marks of those that start once."""
    return {name: f"/etc/libvirt/qemu/{name}.xml" for name in sorted(names)}


def undefine(host: Host, name: str) -> None:
    (host.autostart / f"{name}.xml.once").unlink(missing_ok=True)
    libvirt_clean_up(host, name)


def define(host: Host, name: str) -> None:
    """A new domain of that name."""
    libvirt_save(host.config_of(name), domain_xml(name, uuid_for(f"new {name}")))


def notes(host: Host) -> list[Path]:
    return sorted(host.store("config").glob("*~*"))


def marked(make_tree: Build) -> Tree:
    """web starts once, and uuidfs has seen that."""
    tree = make_tree(WEB, DB)
    mark(tree.host, "web")
    convert(tree)
    assert check(layout_of(tree)).findings == ()
    return tree


def test_the_mark_follows_a_rename(make_tree: Build) -> None:
    tree = marked(make_tree)
    libvirt_domrename(tree.host, "web", "shop")
    assert marks(tree.host) == starts("web")
    assert check(layout_of(tree)).exit_code == 3
    convert(tree)
    assert marks(tree.host) == starts("shop")
    assert check(layout_of(tree)).findings == ()
    assert all(not domain.done for domain in convert(tree).domains)


def test_who_takes_the_name_is_not_started(make_tree: Build) -> None:
    tree = marked(make_tree)
    libvirt_domrename(tree.host, "web", "shop")
    define(tree.host, "web")
    convert(tree)
    assert marks(tree.host) == starts("shop")


def test_a_rename_and_back_and_a_second_one_keep_the_mark(make_tree: Build) -> None:
    tree = marked(make_tree)
    libvirt_domrename(tree.host, "web", "shop")
    libvirt_domrename(tree.host, "shop", "web")
    convert(tree)
    assert marks(tree.host) == starts("web")
    for old, new in (("web", "shop"), ("shop", "store")):
        libvirt_domrename(tree.host, old, new)
        convert(tree)
    assert marks(tree.host) == starts("store")


def test_a_mark_goes_with_its_domain(make_tree: Build) -> None:
    tree = marked(make_tree)
    libvirt_domrename(tree.host, "web", "shop")
    undefine(tree.host, "shop")
    define(tree.host, "web")
    convert(tree)
    assert marks(tree.host) == {}
    assert notes(tree.host) == []


def test_what_libvirt_removes_does_not_come_back(make_tree: Build) -> None:
    tree = marked(make_tree)
    (tree.host.autostart / "web.xml.once").unlink()  # at the start, or autostart --once --disable
    convert(tree)
    assert notes(tree.host) == []
    libvirt_domrename(tree.host, "web", "shop")
    convert(tree)
    assert marks(tree.host) == {}


def test_a_mark_that_libvirt_made_for_the_new_owner_of_the_name_stays(make_tree: Build) -> None:
    tree = marked(make_tree)
    libvirt_domrename(tree.host, "web", "shop")
    convert(tree)
    define(tree.host, "web")
    mark(tree.host, "web")
    convert(tree)
    assert marks(tree.host) == starts("shop", "web")


def test_each_of_a_chain_of_renames_keeps_its_mark(make_tree: Build) -> None:
    tree = marked(make_tree)
    mark(tree.host, "db")
    convert(tree)
    libvirt_domrename(tree.host, "db", "old db")
    libvirt_domrename(tree.host, "web", "db")
    convert(tree)
    convert(tree)
    assert marks(tree.host) == starts("db", "old db")


@pytest.mark.parametrize(("told", "stays"), [(False, False), (True, True), (None, True)])
def test_a_new_mark_that_libvirt_does_not_know_is_a_former_domains(
    make_tree: Build, *, told: bool | None, stays: bool
) -> None:
    tree = make_tree(WEB)
    convert(tree)
    mark(tree.host, "web")
    libvirt_domrename(tree.host, "web", "shop")
    define(tree.host, "web")
    options = Options(starts_once=lambda layout, uuid: told)
    assert run.convert(layout_of(tree), options).exit_code == 0
    assert marks(tree.host) == (starts("web") if stays else {})


def test_a_mark_of_no_domain_goes_unless_a_name_cannot_be_read(make_tree: Build) -> None:
    tree = make_tree(DB)
    mark(tree.host, "gone")
    tree.host.config_of("odd").write_bytes(b"<domain")
    run.convert(layout_of(tree), Options())
    assert marks(tree.host) == starts("gone")
    tree.host.config_of("odd").unlink()
    done = convert(tree)
    assert marks(tree.host) == {}
    assert "no domain" in {domain.label for domain in done.domains}


def test_plain_links_and_what_somebody_else_made_stay(make_tree: Build) -> None:
    tree = make_tree(Domain("web", uuid_for("web"), autostart=True))
    (tree.host.autostart / "other.xml.once").symlink_to("/somewhere/else.xml")
    (tree.host.autostart / "file.xml.once").write_bytes(b"")
    before = sorted(os.listdir(tree.host.autostart))
    convert(tree)
    libvirt_domrename(tree.host, "web", "shop")
    convert(tree)
    run.revert(layout_of(tree), Options())
    after = sorted(os.listdir(tree.host.autostart))
    assert after == sorted(name.replace("web.", "shop.") for name in before)


def test_revert_leaves_what_libvirt_wants(make_tree: Build) -> None:
    tree = marked(make_tree)
    libvirt_domrename(tree.host, "web", "shop")
    done = run.revert(layout_of(tree), Options())
    assert (done.exit_code, done.kept) == (0, ())
    assert marks(tree.host) == starts("shop")
    assert not tree.host.store("config").exists()


@pytest.mark.parametrize("seen", [True, False])
def test_a_rename_that_was_cut_in_half_keeps_the_mark(make_tree: Build, *, seen: bool) -> None:
    tree = make_tree(WEB, DB)
    convert(tree)
    mark(tree.host, "web")
    if seen:
        convert(tree)
    libvirt_domrename(tree.host, "web", "shop", steps=4)
    assert uuidfs(tree.host.root, "check", "--repair").code == 0
    assert marks(tree.host) == starts("shop")


@pytest.mark.parametrize("action", [run.convert, run.revert])
@pytest.mark.parametrize("taken", [True, False])
def test_a_kill_at_any_point_leaves_what_the_next_run_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: object, *, taken: bool
) -> None:
    assert callable(action)
    number = 0
    while True:
        number += 1
        tree = marked(lambda *domains, number=number: build(tmp_path / str(number), domains))
        libvirt_domrename(tree.host, "web", "shop")
        if taken:
            define(tree.host, "web")
        with at_point(monkeypatch, number) as seen:
            action(layout_of(tree), Options())
        assert set(marks(tree.host)) <= {"web", "shop"}
        assert marks(tree.host), "the mark was lost"
        convert(tree)
        assert marks(tree.host) == starts("shop")
        assert check(layout_of(tree)).findings == ()
        if len(seen) < number:
            return


def test_libvirt_at_work_in_any_moment_of_a_move_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each point the domain gets one more name, and a stranger takes the last one."""
    number = 0
    while True:
        number += 1
        tree = marked(lambda *domains, number=number: build(tmp_path / str(number), domains))
        host = tree.host
        libvirt_domrename(host, "web", "shop")

        def work(host: Host = host) -> None:
            libvirt_domrename(host, "shop", "store")
            define(host, "shop")

        with at_point(monkeypatch, number, work) as seen:
            run.convert(layout_of(tree), Options())
        if len(seen) < number:
            return
        convert(tree)
        assert marks(host) == starts("store"), seen


def test_the_fast_path_notes_a_mark_at_once(make_tree: Build) -> None:
    tree = make_tree(WEB, DB)
    names = Names()
    names.replace(convert(tree).names.items())
    mark(tree.host, "web")
    spot = ChangedName(Kind.CONFIG, "web", "web.xml.once")
    for _ in range(2):
        [outcome] = fast_path.fold_changed(layout_of(tree), names, [spot], Options().reader)
        assert outcome.verdict is fast_path.Verdict.NOTHING_TO_DO
    assert [note.name for note in notes(tree.host)] == [f"{uuid_for('web')}~once"]
    libvirt_domrename(tree.host, "web", "shop")
    define(tree.host, "web")
    [outcome] = fast_path.fold_changed(layout_of(tree), names, [spot], Options().reader)
    assert outcome.verdict is fast_path.Verdict.NEEDS_FULL_PASS
    convert(tree)
    assert marks(tree.host) == starts("shop")
