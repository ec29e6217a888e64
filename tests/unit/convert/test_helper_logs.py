"""Logs of virtiofsd and vhost-user-gpu follow their domain as NAME.log does."""

import os
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_clean_up, libvirt_domrename, libvirt_save
from tests.support.trees import Domain, Host, Tree, domain_xml, uuid_for
from tests.support.truth import fingerprint
from tests.unit.convert.killing import at_point
from uuidfs import hook
from uuidfs.check import check
from uuidfs.convert import run
from uuidfs.convert.results import Options, RunResult
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind, Layout
from uuidfs.reconcile import fast_path
from uuidfs.reconcile.fast_path import Verdict
from uuidfs.reconcile.names import Names
from uuidfs.reconcile.queue import ChangedName
from uuidfs.trash.entries import entries
from uuidfs.trash.old_logs import retire_logs
from uuidfs.trash.restore import restore

WEB, DB = Domain("web", uuid_for("web")), Domain("db", uuid_for("db"))
SHARE = "<filesystem type='mount'><driver type='virtiofs'/>{}</filesystem>"
GPU = "<video><driver name='vhostuser'/></video>"
FS0 = "-fs0-virtiofsd.log"


def layout_of(tree: Tree) -> Layout:
    return system(os.fspath(tree.host.root))


def convert(tree: Tree) -> RunResult:
    done = run.convert(layout_of(tree), Options())
    assert done.exit_code == 0, [domain.error for domain in done.domains]
    return done


def devices(host: Host, name: str, uuid: str, *elements: str) -> None:
    """A config with these devices."""
    text = domain_xml(name, uuid).decode().replace("<devices>", f"<devices>{''.join(elements)}")
    libvirt_save(host.config_of(name), text.encode())


def write(host: Host, name: str, tail: str, text: str = "") -> None:
    (host.log / f"{name}{tail}").write_text(text or f"{name}{tail}")


def shared(make_tree: Build, *elements: str) -> Tree:
    """web has a share; its helper has written a log that was rotated once."""
    tree = make_tree(WEB, DB)
    devices(tree.host, "web", WEB.uuid, *(elements or (SHARE.format(""),)))
    write(tree.host, "web", FS0, "now")
    write(tree.host, "web", FS0 + ".0", "before")
    return tree


def text_of(path: Path) -> str:
    """What a name of ours leads to."""
    assert path.is_symlink(), path
    return path.read_text()


def test_it_is_kept_under_the_uuid_and_comes_back(make_tree: Build) -> None:
    tree = shared(make_tree)
    before = fingerprint(tree.host.root)
    convert(tree)
    assert os.readlink(tree.host.log / f"web{FS0}") == f"by-uuid/{WEB.uuid}{FS0}"
    assert text_of(tree.host.log / f"web{FS0}.0") == "before"
    assert check(layout_of(tree)).findings == ()
    assert all(not domain.done for domain in convert(tree).domains)
    done = run.revert(layout_of(tree), Options())
    assert (done.exit_code, done.kept) == (0, ())
    assert fingerprint(tree.host.root) == before


def test_it_goes_on_in_one_file_after_a_rename(make_tree: Build) -> None:
    tree = shared(make_tree)
    convert(tree)
    libvirt_domrename(tree.host, "web", "shop")
    convert(tree)
    assert text_of(tree.host.log / f"shop{FS0}") == "now"
    assert text_of(tree.host.log / f"shop{FS0}.0") == "before"
    assert not os.path.lexists(tree.host.log / f"web{FS0}")
    assert check(layout_of(tree)).findings == ()


def test_who_takes_the_name_has_a_log_of_its_own(make_tree: Build) -> None:
    tree = shared(make_tree)
    host = tree.host
    convert(tree)
    libvirt_domrename(host, "web", "shop")
    devices(host, "web", uuid_for("new web"), SHARE.format(""))
    convert(tree)
    assert text_of(host.log / f"shop{FS0}") == "now"
    assert not os.path.lexists(host.log / f"web{FS0}")
    write(host, "web", FS0, "of the new one")
    convert(tree)
    assert text_of(host.log / f"web{FS0}") == "of the new one"
    assert text_of(host.log / f"shop{FS0}") == "now"


def test_after_an_undefine_it_stays_for_as_long_as_the_log(make_tree: Build) -> None:
    tree = shared(make_tree)
    host = tree.host
    convert(tree)
    libvirt_clean_up(host, "web")
    convert(tree)
    assert text_of(host.log / f"web{FS0}") == "now"
    devices(host, "web", uuid_for("new web"), SHARE.format(""))
    convert(tree)
    assert not os.path.lexists(host.log / f"web{FS0}")
    store = host.store("log")
    assert (store / f"{WEB.uuid}{FS0}").read_text() == "now"
    retire_logs(layout_of(tree), -60.0, Options())
    assert list(store.glob(f"{WEB.uuid}*")) == []
    assert [p.read_text() for p in store.glob(f"trash/*/{WEB.uuid}{FS0}")] == ["now"]


def test_a_rollover_is_followed(make_tree: Build) -> None:
    tree = shared(make_tree)
    log = tree.host.log
    convert(tree)
    (log / f"web{FS0}.0").rename(log / f"web{FS0}.1")  # virtlogd's, links as they are
    (log / f"web{FS0}").rename(log / f"web{FS0}.0")
    write(tree.host, "web", FS0, "newest")
    convert(tree)
    names = ("", ".0", ".1")
    assert [text_of(log / f"web{FS0}{n}") for n in names] == ["newest", "now", "before"]
    assert sorted(p.name[36:] for p in tree.host.store("log").glob(f"{WEB.uuid}-*")) == [
        FS0,
        FS0 + ".0",
        FS0 + ".1",
    ]


def test_a_domain_that_is_called_like_such_a_log_keeps_its_own(make_tree: Build) -> None:
    other = Domain("web-fs0-virtiofsd", uuid_for("other"), log_suffixes=("",))
    tree = make_tree(WEB, other)
    devices(tree.host, "web", WEB.uuid, SHARE.format(""))
    convert(tree)
    assert os.readlink(tree.host.log / f"web{FS0}") == f"by-uuid/{other.uuid}.log"
    convert(tree)
    assert list(tree.host.store("log").glob(f"{WEB.uuid}-*")) == []


def test_a_domain_that_gets_such_a_name_later_takes_the_name_and_nothing_is_lost(
    make_tree: Build,
) -> None:
    tree = shared(make_tree)
    host = tree.host
    convert(tree)
    libvirt_save(
        host.config_of("web-fs0-virtiofsd"), domain_xml("web-fs0-virtiofsd", uuid_for("other"))
    )
    for _ in range(2):
        convert(tree)
    assert not os.path.lexists(host.log / f"web{FS0}")
    assert (host.store("log") / f"{WEB.uuid}{FS0}").read_text() == "now"
    libvirt_clean_up(host, "web-fs0-virtiofsd")
    assert run.revert(layout_of(tree), Options()).exit_code == 0


@pytest.mark.parametrize(
    ("tail", "elements"),
    [
        ("-fs0-virtiofsd.log", ()),
        ("-fs0-virtiofsd.log", (GPU,)),
        ("-video0-vhost-user-gpu.log", (SHARE.format(""),)),
        ("-ua-data-virtiofsd.log", (SHARE.format(""),)),
        ("-net0-virtiofsd.log", (SHARE.format(""),)),
        ("-fs0-virtiofsd-old.log", (SHARE.format(""),)),
    ],
)
def test_without_such_a_device_in_the_xml_it_is_nobodys(
    make_tree: Build, tail: str, elements: tuple[str, ...]
) -> None:
    tree = make_tree(WEB)
    devices(tree.host, "web", WEB.uuid, *elements)
    write(tree.host, "web", tail)
    convert(tree)
    assert not (tree.host.log / f"web{tail}").is_symlink()
    libvirt_domrename(tree.host, "web", "shop")
    convert(tree)
    assert (tree.host.log / f"web{tail}").read_text() == f"web{tail}"


@pytest.mark.parametrize(
    ("tail", "element"),
    [
        ("-video0-vhost-user-gpu.log", GPU),
        ("-ua-my-data-virtiofsd.log", SHARE.format("<alias name='ua-my-data'/>")),
        ("-ua-fs0-virtiofsd-virtiofsd.log", SHARE.format("<alias name='ua-fs0-virtiofsd'/>")),
    ],
)
def test_aliases_are_those_of_the_xml(make_tree: Build, tail: str, element: str) -> None:
    tree = make_tree(WEB)
    devices(tree.host, "web", WEB.uuid, element)
    write(tree.host, "web", tail)
    convert(tree)
    libvirt_domrename(tree.host, "web", "shop")
    convert(tree)
    assert text_of(tree.host.log / f"shop{tail}") == f"web{tail}"
    assert check(layout_of(tree)).findings == ()


def test_where_two_domains_may_have_written_it_nobody_gets_it(make_tree: Build) -> None:
    tree = make_tree(WEB, Domain("web-ua-a", uuid_for("second")))
    devices(tree.host, "web", WEB.uuid, SHARE.format("<alias name='ua-a-ua-b'/>"))
    second = SHARE.format("<alias name='ua-b'/>")
    devices(tree.host, "web-ua-a", uuid_for("second"), second)
    write(tree.host, "web-ua-a", "-ua-b-virtiofsd.log")
    convert(tree)
    assert not (tree.host.log / "web-ua-a-ua-b-virtiofsd.log").is_symlink()


@pytest.mark.parametrize("action", [run.convert, run.revert])
def test_a_kill_at_any_point_loses_no_log(
    make_tree: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: object
) -> None:
    assert callable(action)
    number = 0
    while True:
        number += 1
        tree = shared(make_tree)
        host = tree.host
        convert(tree)
        libvirt_domrename(host, "web", "shop")
        (host.log / f"web{FS0}").rename(host.log / f"web{FS0}.1")
        write(host, "shop", FS0, "started without the hook")
        with at_point(monkeypatch, number) as seen:
            action(layout_of(tree), Options())
        convert(tree)
        # A revert leaves what a rename has left under the old name there, as plain libvirt does.
        texts = {path.read_text() for path in host.log.glob("*-fs0-virtiofsd.log*")}
        assert texts == {"before", "now", "started without the hook"}
        if action is run.convert:
            assert {path.read_text() for path in host.log.glob("shop-*")} == texts
        assert check(layout_of(tree)).findings == ()
        host.root.rename(tmp_path / f"done {number}")
        if len(seen) < number:
            return


def verdict(tree: Tree, names: Names, spot: ChangedName) -> Verdict:
    [outcome] = fast_path.fold_changed(layout_of(tree), names, [spot], Options().reader)
    return outcome.verdict


def test_the_fast_path_leaves_the_work_to_a_pass(make_tree: Build) -> None:
    tree = shared(make_tree)
    names = Names()
    log = ChangedName(Kind.LOG, f"web{FS0}", f"web{FS0}")
    assert verdict(tree, names, log) is Verdict.NEEDS_FULL_PASS
    names.replace(convert(tree).names.items())
    assert verdict(tree, names, log) is Verdict.NOTHING_TO_DO
    libvirt_domrename(tree.host, "web", "shop")
    tree.host.log_of("web").unlink()
    devices(tree.host, "web", uuid_for("new web"), SHARE.format(""))
    config = ChangedName(Kind.CONFIG, "web", "web.xml")
    assert verdict(tree, Names(), config) is Verdict.NEEDS_FULL_PASS
    assert not tree.host.config_of("web").is_symlink()  # else the hook would take it as settled


def test_a_start_under_an_old_name_takes_no_link_of_a_helpers_log(make_tree: Build) -> None:
    """The hook runs before any pass has seen the rename, or the new domain."""
    tree = shared(make_tree)
    host, new = tree.host, uuid_for("new web")
    convert(tree)
    libvirt_domrename(host, "web", "shop")
    devices(host, "web", new, SHARE.format(""))
    data = host.config_of("web").read_bytes()
    hook.convert_one(layout_of(tree), "web", data, start=True)
    assert not os.path.lexists(host.log / f"web{FS0}")
    assert os.readlink(host.log_of("web")) == f"by-uuid/{new}.log"
    convert(tree)
    assert text_of(host.log / f"shop{FS0}") == "now"
    data = host.config_of("shop").read_bytes()
    hook.convert_one(layout_of(tree), "shop", data, start=True)
    assert text_of(host.log / f"shop{FS0}") == "now"


def test_one_that_somebody_removed_can_be_restored(make_tree: Build) -> None:
    tree = shared(make_tree)
    convert(tree)
    link = tree.host.log / f"web{FS0}.0"
    (tree.host.log / f"web{FS0}").unlink()
    convert(tree)
    link.unlink()
    convert(tree)
    for entry in entries(layout_of(tree)):
        restore(layout_of(tree), entry.id)
    assert text_of(link) == "before"
    assert text_of(tree.host.log / f"web{FS0}") == "now"
    assert check(layout_of(tree)).findings == ()
