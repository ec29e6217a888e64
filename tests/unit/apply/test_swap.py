"""What libvirt may do between any two steps of the protocol, without sleeping."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import (
    Libvirtd,
    finish,
    libvirt_clean_up,
    libvirt_domrename,
    libvirt_save,
    virtlogd_rollover,
)
from tests.support.trees import Tree, domain_xml, uuid_for
from tests.support.truth import broken_promises, facts, trashed
from uuidfs.convert.results import Options, RunResult
from uuidfs.convert.run import convert, revert
from uuidfs.files import change
from uuidfs.layout.connections import system

NAME = "vm0000"
UUID = uuid_for(NAME)
At = Callable[[str, Callable[[], None]], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[At]:
    """``at(point, act)``: do something, once, when the protocol passes the point."""
    pending: dict[str, Callable[[], None]] = {}

    def trace(point: str) -> None:
        if (act := pending.pop(point, None)) is not None:
            act()

    monkeypatch.setattr(change, "trace", trace)
    yield pending.__setitem__
    assert not pending, f"never passed: {sorted(pending)}"


@pytest.fixture(params=["exchange", "fallback"])
def exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to swap; the crash tests have a kernel that really refuses the flag."""
    if request.param == "fallback":

        def refuse(*_: object) -> None:
            raise change.NoExchangeError

        monkeypatch.setattr(change, "exchange", refuse)
    return str(request.param)


def run(tree: Tree, action: Callable[..., RunResult] = convert) -> RunResult:
    return action(system(os.fspath(tree.host.root)), Options())


def newer(tree: Tree, note: str = "newer", uuid: str = UUID) -> Callable[[], None]:
    """libvirt saves the domain's config."""
    return lambda: libvirt_save(tree.host.config_of(NAME), domain_xml(NAME, uuid, note))


def stored(tree: Tree, uuid: str = UUID) -> Path:
    return tree.host.store("config") / f"{uuid}.xml"


@pytest.mark.usefixtures("exchange")
def test_both_ways_convert_and_revert_everything(make_tree: Build) -> None:
    tree = make_tree()
    truth = facts(tree.host)
    assert run(tree).exit_code == 0
    assert broken_promises(tree.host, truth, tree.bindings) == []
    newer(tree)()
    truth = facts(tree.host)
    assert run(tree).exit_code == 0
    assert broken_promises(tree.host, truth, tree.bindings) == []
    assert run(tree, revert).exit_code == 0
    assert broken_promises(tree.host, truth, tree.bindings, converted=False) == []


def test_a_save_just_before_the_swap_is_what_the_store_has_in_the_same_instant(
    make_tree: Build, at: At
) -> None:
    tree = make_tree()
    seen: list[bytes] = []
    at("fold: placeholder made", newer(tree))
    at("fold: swapped", lambda: seen.append(tree.host.config_of(NAME).read_bytes()))
    assert run(tree).exit_code == 0
    assert b"newer" in seen[0], "the older version was visible after the newer one"
    assert b"newer" in stored(tree).read_bytes()


@pytest.mark.parametrize("point", ["refold: waiting", "refold: placeholder made"])
def test_a_save_during_a_refold_is_kept(make_tree: Build, at: At, point: str) -> None:
    tree = make_tree()
    run(tree)
    newer(tree, "second")()
    at(point, newer(tree, "third"))
    assert run(tree).exit_code == 0
    assert b"third" in tree.host.config_of(NAME).read_bytes()
    assert tree.host.config_of(NAME).is_symlink()


def test_both_paths_open_at_every_point_of_a_refold(make_tree: Build, at: At) -> None:
    tree = make_tree()
    run(tree)
    newer(tree, "second")()
    seen = []

    def look() -> None:
        seen.append((tree.host.config_of(NAME).read_bytes(), stored(tree).read_bytes()))

    for point in ("refold: waiting", "refold: placeholder made", "fold: swapped"):
        at(point, look)
    assert run(tree).exit_code == 0
    assert [b"second" in name for name, _ in seen] == [True] * 3
    assert [b"second" in uuid for _, uuid in seen] == [False, True, True]


@pytest.mark.parametrize("point", ["fold: placeholder made", "refold: placeholder made"])
def test_an_undefine_just_before_the_swap_is_not_undone(
    make_tree: Build, at: At, point: str
) -> None:
    tree = make_tree()
    if point.startswith("re"):
        run(tree)
        newer(tree, "second")()
    at(point, lambda: libvirt_clean_up(tree.host, NAME))
    run(tree)
    run(tree)
    assert not os.path.lexists(tree.host.config_of(NAME))
    assert not os.path.lexists(stored(tree))
    if point.startswith("re"):
        assert any(b"second" in path.read_bytes() for path in trashed(tree.host))


@pytest.mark.parametrize("point", ["fold: placeholder made", "refold: placeholder made"])
def test_a_name_that_another_domain_takes_just_before_the_swap_stays_that_ones(
    make_tree: Build, at: At, point: str
) -> None:
    tree = make_tree()
    if point.startswith("re"):
        run(tree)
        newer(tree, "second")()
    other = uuid_for("other")
    at(point, newer(tree, "of the other", other))
    run(tree)
    run(tree)
    assert b"of the other" in tree.host.config_of(NAME).read_bytes()
    assert os.readlink(tree.host.config_of(NAME)) == f"by-uuid/{other}.xml"
    assert not os.path.lexists(stored(tree))


@pytest.mark.usefixtures("exchange")
def test_a_log_that_rotates_during_a_fold_keeps_its_order(make_tree: Build, at: At) -> None:
    tree = make_tree()
    current = tree.host.log_of(NAME).read_bytes()
    at("fold: placeholder made", lambda: virtlogd_rollover(tree.host, NAME, b"new\n"))
    run(tree)
    run(tree)
    assert tree.host.log_of(NAME).read_bytes() == b"new\n"
    assert tree.host.log_of(NAME, ".0").read_bytes() == current
    assert all(tree.host.log_of(NAME, s).is_symlink() for s in ("", ".0", ".1"))


def test_a_save_during_a_revert_goes_back_to_its_name(make_tree: Build, at: At) -> None:
    tree = make_tree()
    run(tree)
    at("unfold: swapped", newer(tree))
    run(tree, revert)
    assert b"newer" in tree.host.config_of(NAME).read_bytes()
    assert not tree.host.store("config").exists()


def test_two_domains_that_swapped_their_names_keep_their_logs(make_tree: Build) -> None:
    tree = make_tree()
    run(tree)
    logs = {name: tree.host.log_of(name).read_bytes() for name in ("vm0000", "vm0001")}
    libvirtd = Libvirtd(tree.host)
    for old, new in (("vm0000", "third"), ("vm0001", "vm0000"), ("third", "vm0001")):
        finish(libvirtd.rename(old, new))
    assert run(tree).exit_code == 0
    assert tree.host.log_of("vm0000").read_bytes() == logs["vm0001"]
    assert tree.host.log_of("vm0001").read_bytes() == logs["vm0000"]
    assert trashed(tree.host) == []
    assert [d.done for d in run(tree).domains if d.done] == []


def test_a_domain_renamed_to_an_undefined_ones_name_brings_its_log_along(
    make_tree: Build,
) -> None:
    tree = make_tree()
    run(tree)
    log = tree.host.log_of("vm0001").read_bytes()
    libvirt_clean_up(tree.host, "vm0000")
    libvirt_domrename(tree.host, "vm0001", "vm0000")
    assert run(tree).exit_code == 0
    assert tree.host.log_of("vm0000").read_bytes() == log
    assert not os.path.lexists(tree.host.log_of("vm0001"))
