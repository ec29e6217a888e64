"""What people see of domains: short UUIDs, what is chosen, what is said of what is not there."""

import os
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import uuidfs
from tests.support.terminal import on_a_terminal
from tests.support.trees import Domain, Tree, domain_xml, uuid_for
from uuidfs.check import check
from uuidfs.cli.render.columns import PLAIN, Look, width
from uuidfs.cli.render.status import check_lines, status_lines
from uuidfs.cli.render.trash import listing_lines
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.errors import AmbiguousDomain, NoSuchDomain, UuidfsError
from uuidfs.history.logs import Logs
from uuidfs.history.subject import find
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind, Layout
from uuidfs.status import FileState, in_state, status_of, with_problems
from uuidfs.survey.resolve import resolve
from uuidfs.trash.listing import listing
from uuidfs.undelete.candidates import find as find_gone
from uuidfs.undelete.candidates import pick
from uuidfs.uuid_path import uuid_path

LONG = "customer-4711-frontend-production-blue-behind-the-second-load-balancer"
TWINS = ("4e26ce7e-8807-561b-9b95-3ab2d3c535f6", "4e26ce7e-8811-561b-9b95-3ab2d3c535f6")


@pytest.fixture
def tree(make_tree: Build) -> Tree:
    """A bit of everything: db is stale, web lost a snapshot, old is undefined, mail is plain."""
    names = ("web", "db", "old", "mail", "数据库", LONG)
    domains = [Domain(n, uuid_for(n), log_suffixes=("",), snapshots=("s1", "s2")) for n in names]
    found = make_tree(*domains)
    layout, host = layout_of(found), found.host
    convert(layout, Options(tuple(name for name in names if name != "mail")))
    host.config_of("db").unlink()
    host.config_of("db").write_bytes(domain_xml("db", uuid_for("db"), "newer"))
    for snapshot in (host.snapshot / "old").iterdir():
        snapshot.unlink()
    (host.snapshot / "old").rmdir()
    host.log_of("gone").unlink()
    host.config_of("old").unlink()
    convert(layout, Options((uuid_for("old"),)))
    (host.snapshot / "web/s1.xml").unlink()
    return found


def layout_of(tree: Tree) -> Layout:
    return system(os.fspath(tree.host.root))


def test_status_is_a_table_with_a_summary_and_short_uuids(tree: Tree) -> None:
    result = status_of(layout_of(tree))
    lines = status_lines(result)
    assert lines[0].split() == ["NAME", "UUID", "STATE", "FILES"]
    (line,) = (each for each in lines if each.startswith("db "))
    assert (
        line.split() == f"db {uuid_for('db')[:8]} partial config stale, 1 log, 2 snapshots".split()
    )
    assert "5 domains: 2 converted, 1 plain, 2 partial; 1 undefined" in lines
    on_terminal = status_lines(result, Look(80))
    assert max(map(width, on_terminal)) <= 80
    wide = status_lines(result, Look(wide=True))
    assert any(LONG in each and uuid_for(LONG) in each for each in wide)
    gone = f"{tree.host.store('snapshot')}/{uuid_for('web')}/s1.xml"
    assert f"web: snapshot unreferenced: {gone}" in " ".join(wide)


def test_status_shows_what_is_asked_for(tree: Tree) -> None:
    result = status_of(layout_of(tree))

    def names(lines: list[str]) -> set[str]:
        return {line.split()[0] for line in lines[1:] if "  " in line}

    assert names(status_lines(in_state(result, {FileState.PLAIN}))) == {"mail"}
    problems = status_lines(with_problems(result), details=True)
    assert {"web", "db"} <= names(problems)
    assert not {"mail", "数据库"} & names(problems)
    assert any(str(tree.host.config_of("db")) in line for line in problems)
    nothing = in_state(result, {FileState.CONFLICT})
    assert status_lines(nothing, empty="no domain is conflict") == ["no domain is conflict"]
    shown = uuidfs(
        tree.host.root, "status", "--state", "plain", "--state", "partial", "--json"
    ).json
    assert {d["name"] for d in shown["domains"]} == {"mail", "web", "db"}
    bad = uuidfs(tree.host.root, "status", "--state", "odd")
    assert (bad.code, len(bad.err.splitlines())) == (2, 1)


def test_a_host_has_hundreds_of_old_logs_and_they_are_counted(tree: Tree) -> None:
    for number in range(100):
        tree.host.log_of(f"long-gone-{number}").write_text("x")
    result = status_of(layout_of(tree))
    assert sum(line.startswith("unbound: ") for line in status_lines(result)) == 1
    assert sum(line.startswith("unbound: ") for line in status_lines(result, Look(wide=True))) > 99


def meant(layout: Layout, word: str) -> set[str]:
    """The UUID that each way into the program takes a word for."""
    with Logs(layout) as logs:
        by_log = find(logs, word).uuid or ""
    path = uuid_path(layout, word, Kind.CONFIG).path
    return {
        resolve(layout, word)[0],
        by_log,
        Path(path).stem,
        *(d.uuid for d in status_of(layout, (word,)).domains),
        *(d.uuid for d in convert(layout, Options((word,), dry_run=True)).domains),
    }


def test_the_beginning_of_a_uuid_is_enough_everywhere(tree: Tree) -> None:
    layout, uuid, gone = layout_of(tree), uuid_for("web"), uuid_for("old")
    for word in (uuid[:8], uuid[:9], uuid[:13], uuid[:8].upper(), uuid.replace("-", "")[:12]):
        assert meant(layout, word) == {uuid}
    with pytest.raises(NoSuchDomain):
        resolve(layout, uuid[:7])
    assert {entry.uuid for entry in listing(layout, (gone[:8],)).entries} == {gone}
    assert pick(find_gone(layout), gone.replace("-", "")[:10]).uuid == gone
    with Logs(layout) as logs:
        assert find(logs, gone[:8]).uuid == gone


def test_a_beginning_of_several_is_refused_with_whose_they_are(make_tree: Build) -> None:
    tree = make_tree(Domain("one", TWINS[0]), Domain("two", TWINS[1]))
    layout = layout_of(tree)
    for call in (lambda: resolve(layout, "4e26ce7e"), lambda: meant(layout, "4E26CE7E88")):
        with pytest.raises(AmbiguousDomain) as caught:
            call()
        for text in (*TWINS, "(one)", "(two)"):
            assert text in str(caught.value)
    assert meant(layout, "4e26ce7e-880") == {TWINS[0]}
    rows = status_lines(status_of(layout))[1:3]
    assert [row.split()[1] for row in rows] == ["4e26ce7e-880", "4e26ce7e-881"]
    done = uuidfs(tree.host.root, "path", "4e26ce7e")
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)


def test_a_name_that_looks_like_a_beginning_is_a_name(make_tree: Build) -> None:
    tree = make_tree(Domain("4e26ce7e", uuid_for("x")), Domain("two", TWINS[1]))
    assert meant(layout_of(tree), "4e26ce7e") == {uuid_for("x")}
    assert meant(layout_of(tree), "4e26ce7e-8") == {TWINS[1]}


def test_a_mistyped_name_is_asked_about_everywhere(tree: Tree) -> None:
    layout = layout_of(tree)
    with Logs(layout) as logs:
        for call, near in (
            (lambda: resolve(layout, "wbe"), "web"),
            (lambda: status_of(layout, ("wbe",)), "web"),
            (lambda: uuid_path(layout, "wbe", Kind.LOG), "web"),
            (lambda: convert(layout, Options(("Mial",))), "mail"),
            (lambda: find(logs, "wbe"), "web"),
            (lambda: listing(layout, ("odl",)), "old"),
            (lambda: pick(find_gone(layout), "odl"), "old"),
        ):
            with pytest.raises(UuidfsError) as caught:
                call()
            assert f"did you mean {near!r}?" in str(caught.value)
            assert "\n" not in str(caught.value)


def test_a_path_where_nothing_is_says_why(tree: Tree) -> None:
    layout = layout_of(tree)
    assert uuid_path(layout, "web", Kind.CONFIG).missing == ""
    for domain, kind, why in (
        ("mail", Kind.SNAPSHOT, "run: uuidfs convert mail"),
        ("web", Kind.CHECKPOINT, "web has no checkpoint"),
    ):
        found = uuid_path(layout, domain, kind)
        assert why in found.missing
        done = uuidfs(tree.host.root, "path", domain, "--kind", kind.value)
        assert (done.code, done.out) == (1, f"{found.path}\n")
        assert done.err == f"uuidfs: {found.path} does not exist: {found.missing}\n"


def test_findings_are_words_and_each_has_a_command(tree: Tree) -> None:
    host, uuid = tree.host, uuid_for("数据库")
    (host.store("config") / "README").write_text("mine")
    stored = host.store("config") / f"{uuid}.xml"
    stored.chmod(0o600)
    stored.write_bytes(b"<domain><na")
    (host.config / "bro$(ken).xml").write_text("<domain>")
    result = check(layout_of(tree))
    assert {finding.promise for finding in result.findings} >= {"P1", "P2", "P3"}
    for finding in result.findings:
        assert finding.command in finding.advice
        assert finding.command
        (line,) = check_lines(result._replace(findings=(finding,)))[:-1]
        assert line.startswith(f"{finding.name}: {finding.path}" if finding.name else finding.path)
        assert "to do: " not in line
        on_terminal = check_lines(result._replace(findings=(finding,)), Look(80))
        assert any(each.strip().removeprefix("run: ") == finding.command for each in on_terminal)
    commands = {finding.command for finding in result.findings}
    assert f"install -m 600 BACKUP {stored}" in commands
    assert f"mv -- '{host.config}/bro$(ken).xml' /root/" in commands


def test_where_there_is_nothing_one_line_says_so(tmp_path: Path) -> None:
    layout = system(os.fspath(tmp_path))
    assert status_lines(status_of(layout)) == ["no domains"]
    assert check_lines(check(layout)) == ["nothing found"]
    assert listing_lines(listing(layout)) == ["the trash is empty"]
    for words, said in (
        (("undelete",), "no domain can come back"),
        (("trash", "empty"), "nothing to remove"),
        (("session", "list"), "no sessions"),
    ):
        done = uuidfs(tmp_path, *words)
        assert (done.code, done.out, done.err) == (0, f"{said}\n", "")


def test_the_trash_says_what_of_which_domain(tree: Tree) -> None:
    lines = listing_lines(listing(layout_of(tree)), Look(80))
    assert max(map(width, lines)) <= 80
    (line,) = (each for each in lines if "config" in each)
    assert line.split()[3:] == ["old", "undefined", "config"]
    assert any(each.split()[3:] == ["old", "undefined", "snapshot", "s1"] for each in lines)


def test_a_terminal_has_colours_unless_they_are_unwanted(tree: Tree) -> None:
    coloured = on_a_terminal(tree.host.root, "status", TERM="xterm").out
    assert "\x1b[33mpartial\x1b[0m" in coloured
    for env in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = on_a_terminal(tree.host.root, "status", **env).out
        assert "\x1b" not in plain
        assert max(map(width, plain.splitlines())) <= 80
    assert "\x1b" not in uuidfs(tree.host.root, "status").out
    assert PLAIN.width is None
