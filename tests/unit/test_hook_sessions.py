"""The hook while somebody has a session open: it stays quick, and fails closed."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import uuidfs.localmigration as lm
from tests.conftest import Build
from tests.support.trees import Domain, Tree, domain_xml, uuid_for
from uuidfs.host import hook_file

WEB = Domain("web", uuid_for("web"))
DB = Domain("db", uuid_for("db"))

LIMIT = 10.0  # seconds for what takes 0.03; a shell's patterns need minutes for it

LINKS = 100_000


@pytest.fixture
def hook(tmp_path: Path) -> Path:
    """The hook as ``uuidfs hook install`` writes it."""
    path = tmp_path / "hook"
    path.write_bytes(hook_file.rendered())
    path.chmod(0o755)
    return path


def prepare(hook: Path, tree: Tree, name: str, xml: bytes) -> "subprocess.CompletedProcess[bytes]":
    """Call it before a domain's start."""
    return subprocess.run(
        [hook, name, "prepare", "begin", "-"],
        input=xml,
        capture_output=True,
        check=False,
        cwd="/",
        timeout=LIMIT,
        env={"PATH": os.environ["PATH"], "UUIDFS_ROOT": str(tree.host.root)},
    )


def away(tree: Tree, domain: Domain) -> lm.Session:
    """A session of a guest that is in the peer."""
    layout = lm.system(str(tree.host.root))
    with lm.Locks(layout, 0.0, owner=True).hold(domain.uuid):
        session = lm.begin(layout, domain.uuid, domain.name, pid=os.getpid(), tool="test")
    return lm.change(layout, session, phase=lm.PEER)


def shortest(call: Callable[[], object]) -> float:
    """Seconds of the shortest of nine calls: what others do meanwhile makes some longer."""
    taken = []
    for _ in range(9):
        began = time.monotonic()
        call()
        taken.append(time.monotonic() - began)
    return min(taken)


@pytest.mark.parametrize("filling", ["<", "<uuid", "<uuid>", "a", " ", "\n"])
@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_a_large_text_that_names_no_domain(
    hook: Path, make_tree: Build, size: int, filling: str
) -> None:
    """Whatever comes on stdin takes a time that is in proportion to it."""
    tree = make_tree(WEB)
    away(tree, WEB)
    done = prepare(hook, tree, "vm", (filling * size)[:size].encode())
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("filling", ["<", "token=", "t", "&lt;"])
def test_a_large_description(hook: Path, make_tree: Build, filling: str) -> None:
    tree = make_tree(WEB)
    session = away(tree, WEB)
    text = f"<description>{filling * 200_000}</description><name>"
    xml = domain_xml(WEB.name, WEB.uuid).decode()
    large = xml.replace("<name>", text)
    assert large != xml
    assert prepare(hook, tree, WEB.name, large.encode()).returncode == 1
    token = large.replace("</domain>", f'<t token="{session.token}"/></domain>')
    assert prepare(hook, tree, WEB.name, token.encode()).returncode == 0


def test_another_domains_session_that_ends_just_then(hook: Path, make_tree: Build) -> None:
    """The first name of the list may be gone once it is looked at; here it is no file at all."""
    tree = make_tree(WEB)
    layout = lm.system(str(tree.host.root))
    away(tree, WEB)
    (Path(layout.sessions.path) / "00000000-0000-4000-8000-000000000000.json").symlink_to("gone")
    assert prepare(hook, tree, WEB.name, domain_xml(WEB.name, WEB.uuid)).returncode == 1


def test_any_number_of_links(hook: Path, make_tree: Build) -> None:
    """QEMU's user can fill the directory: a start takes as long as find(1) does, not more."""
    tree = make_tree(WEB)
    for link in (tree.host.config_of(WEB.name), tree.host.log_of(WEB.name)):
        link.unlink(missing_ok=True)
        link.symlink_to("anything")
    directory = tree.host.snapshot / WEB.name
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    xml = domain_xml(WEB.name, WEB.uuid)
    empty = shortest(lambda: prepare(hook, tree, WEB.name, xml))
    fd = os.open(directory, os.O_RDONLY)
    for number in range(LINKS):
        os.symlink("x", f"{number}.xml", dir_fd=fd)
    os.close(fd)
    words = ["find", str(directory), "-mindepth", "1", "-maxdepth", "1", "-type", "f"]
    find = shortest(lambda: subprocess.run(words, check=True, capture_output=True))
    full = shortest(lambda: prepare(hook, tree, WEB.name, xml))
    print(f"empty {empty:.3f} s, find {find:.3f} s, with {LINKS} links {full:.3f} s")
    assert full < 2.5 * (empty + find)
