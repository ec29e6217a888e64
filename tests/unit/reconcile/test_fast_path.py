"""What a look at one spot makes of it, when the reconciler's knowledge is older than the disk."""

import os

from tests.conftest import Build
from tests.support.libvirt import libvirt_domrename, libvirt_save
from tests.support.trees import Domain, Tree, domain_xml, snapshot_xml, status_xml, uuid_for
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind
from uuidfs.reconcile import fast_path
from uuidfs.reconcile.fast_path import Verdict
from uuidfs.reconcile.names import Names
from uuidfs.reconcile.queue import ChangedName

WEB = Domain("web", uuid_for("web"))
JOB = Domain("job", uuid_for("job"), transient=True)


def converted(tree: Tree) -> Names:
    """Convert, and return what a reconciler knows then."""
    names = Names()
    names.replace(convert(system(os.fspath(tree.host.root)), Options()).names.items())
    return names


def verdict(tree: Tree, names: Names, spot: ChangedName) -> Verdict:
    """Look at one spot."""
    reader = Options().reader
    [outcome] = fast_path.fold_changed(system(os.fspath(tree.host.root)), names, [spot], reader)
    return outcome.verdict


def test_a_log_under_a_name_that_came_since_the_last_pass_asks_for_one(make_tree: Build) -> None:
    tree = make_tree(WEB)
    names = converted(tree)
    libvirt_domrename(tree.host, "web", "shop")
    tree.host.log_of("shop").write_bytes(b"virtlogd, while a pass is under way\n")
    log = ChangedName(Kind.LOG, "shop.log", "shop.log")
    assert verdict(tree, names, log) is Verdict.NEEDS_FULL_PASS
    assert verdict(tree, converted(tree), log) is Verdict.NOTHING_TO_DO


def test_a_log_of_no_domain_is_left_alone(make_tree: Build) -> None:
    tree = make_tree(WEB)
    names = converted(tree)
    tree.host.log_of("gone").write_bytes(b"old\n")
    assert (
        verdict(tree, names, ChangedName(Kind.LOG, "gone.log", "gone.log")) is Verdict.NOTHING_TO_DO
    )


def test_another_transient_domain_of_the_same_name_asks_for_a_pass(make_tree: Build) -> None:
    tree = make_tree(WEB, JOB)
    names = converted(tree)
    status, spot = tree.host.status / "job.xml", ChangedName(None, "job", "job.xml")
    assert verdict(tree, names, spot) is Verdict.NOTHING_TO_DO
    status.write_bytes(status_xml("job", uuid_for("another")))
    assert verdict(tree, names, spot) is Verdict.NEEDS_FULL_PASS
    assert verdict(tree, converted(tree), spot) is Verdict.NOTHING_TO_DO
    status.unlink()
    assert verdict(tree, names, spot) is Verdict.NEEDS_FULL_PASS


def test_the_status_of_a_persistent_domain_needs_no_look(make_tree: Build) -> None:
    tree = make_tree(WEB)
    names = converted(tree)
    (tree.host.status / "web.xml").write_bytes(b"being written")
    assert verdict(tree, names, ChangedName(None, "web", "web.xml")) is Verdict.NOTHING_TO_DO


def test_a_snapshots_fold_leaves_a_config_plain_whose_log_is_a_strangers(make_tree: Build) -> None:
    """The hook takes two links for settled: the new domain would write into the old one's log."""
    tree = make_tree(WEB)
    tree.host.log_of("web").write_bytes(b"of the old domain\n")
    converted(tree)
    tree.host.config_of("web").unlink()
    names = converted(tree)
    new = uuid_for("new")
    libvirt_save(tree.host.config_of("web"), domain_xml("web", new))
    directory = tree.host.snapshot / "web"
    directory.mkdir(exist_ok=True)
    (directory / "s1.xml").write_bytes(snapshot_xml("s1", "web", new))
    spot = ChangedName(Kind.SNAPSHOT, "web", "s1.xml")
    assert verdict(tree, names, spot) is Verdict.NEEDS_FULL_PASS
    assert not tree.host.config_of("web").is_symlink()
