"""uuidfs-check.service starts Python only where a crash has left something of a rename."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.libvirt import Libvirtd
from tests.support.process import REPOSITORY
from tests.support.trees import Domain, Host, Tree, build, uuid_for
from uuidfs.check import check
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.layout.connections import system

UNIT = REPOSITORY / "packaging/systemd/uuidfs-check.service"

DOMAINS = (
    Domain("web", uuid_for("web"), snapshots=("s1", "s2"), checkpoints=("c1",), autostart=True),
    Domain("an awkward $name", uuid_for("awkward"), snapshots=("a b",)),
    Domain("db", uuid_for("db")),
)


def command(root: Path) -> list[str]:
    """The condition as systemd runs it (systemd.service(5), "Command lines"), below a root."""
    found = re.search(
        r"^ExecCondition=/bin/sh -c '((?:.|\\\n)*?)'$", UNIT.read_text(), re.MULTILINE
    )
    assert found
    text = found[1].replace("\\\n", " ").replace("\\\\", "\\")
    text = text.replace("$$", "$").replace("%%", "%")
    for path in ("/etc/libvirt/qemu", "/var/lib/libvirt/qemu"):
        assert path in text
        text = text.replace(path, f"{root}{path}")
    return ["/bin/sh", "-c", text]


def is_due(host: Host) -> bool:
    """Whether the unit would start uuidfs."""
    done = subprocess.run(command(host.root), capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done
    assert done.returncode == 1 or not re.search("[sS]yntax|not found", done.stderr), done
    return done.returncode == 0


def converted(root: Path) -> Tree:
    tree = build(root, DOMAINS)
    assert convert(system(os.fspath(tree.host.root)), Options()).exit_code == 0
    return tree


def cuts(tmp_path: Path, *, misfile: bool) -> Iterator[tuple[int, Host]]:
    """A host after each call of a rename."""
    number = 0
    while True:
        tree = converted(tmp_path / str(number))
        steps = Libvirtd(tree.host).rename("web", "shop", misfile=misfile)
        for _ in range(number):
            if next(steps, "over") == "over":
                return
        yield number, tree.host
        number += 1


def test_nothing_is_due_where_nothing_was_cut(tmp_path: Path) -> None:
    assert not is_due(converted(tmp_path).host)


@pytest.mark.parametrize("misfile", [True, False])
def test_a_rename_that_was_cut_is_due(tmp_path: Path, misfile: bool) -> None:
    seen = 0
    for number, host in cuts(tmp_path, misfile=misfile):
        layout = system(os.fspath(host.root))
        of_a_rename = [f for f in check(layout).findings if "/var/log/" not in str(f.path)]
        seen += bool(of_a_rename)
        if of_a_rename:
            assert is_due(host), f"after {number} calls: {of_a_rename}"
    assert seen > 5, "there was something to see"


def test_after_the_repair_nothing_is_due(tmp_path: Path) -> None:
    tree = converted(tmp_path)
    for _ in Libvirtd(tree.host).rename("web", "shop"):
        pass
    assert is_due(tree.host)
    assert convert(system(os.fspath(tree.host.root)), Options()).exit_code == 0
    assert not is_due(tree.host)
