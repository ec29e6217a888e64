"""Large runs use several processes: same results, and killing any of them loses nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import REPOSITORY, uuidfs, wait_for
from tests.support.trees import Tree, sample
from tests.support.truth import broken_promises, facts, fingerprint, lost
from uuidfs import workers
from uuidfs.apply.open_dirs import OpenDirs
from uuidfs.cli import start
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert, revert
from uuidfs.layout.connections import system
from uuidfs.survey.documents import Documents
from uuidfs.survey.scan import Scan
from uuidfs.survey.scanner import scan_all

MANY = 150


def large(make_tree: Build) -> Tree:
    return make_tree(*sample(MANY))


def options(cpus: int) -> Options:
    return Options(cpus=cpus)


def test_small_runs_stay_in_one_process() -> None:
    assert [workers.size(items, 8) for items in (0, 1, 63, 64, 1000)] == [1, 1, 1, 2, 4]
    assert workers.size(10_000, 1) == 1


def test_every_item_is_worked_on_once_and_results_come_with_their_items() -> None:
    def work(part: Sequence[str]) -> tuple[int, list[str]]:
        return os.getpid(), [item.upper() for item in part]

    done = workers.spread([f"x{n}" for n in range(10)], work, 3)
    assert sorted(item for part, _ in done for item in part) == sorted(f"x{n}" for n in range(10))
    assert len({result[0] for _, result in done if result is not None}) == 3
    for part, result in done:
        assert result is not None
        assert result[1] == [item.upper() for item in part]


@pytest.mark.parametrize("end", ["killed", "raised"])
def test_a_process_without_a_result_is_told_of(end: str) -> None:
    parent = os.getpid()

    def work(part: Sequence[str]) -> str:
        if os.getpid() != parent:
            if end == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError(part)
        return "done"

    assert workers.spread(["a", "b"], work, 2) == [(["a"], "done"), (["b"], None)]


def test_an_exception_here_ends_the_others_too(tmp_path: Path) -> None:
    parent = os.getpid()

    def work(part: Sequence[str]) -> None:
        if os.getpid() == parent:
            raise KeyboardInterrupt
        time.sleep(20)
        (tmp_path / "late").touch()

    with pytest.raises(KeyboardInterrupt):
        workers.spread(["a", "b"], work, 2)  # waits for the other one, which was killed
    assert not (tmp_path / "late").exists()


def test_several_processes_do_what_one_does(make_tree: Build) -> None:
    tree = large(make_tree)
    layout = system(str(tree.host.root))
    truth, before = facts(tree.host), fingerprint(tree.host.root)
    dry = convert(layout, options(3)._replace(dry_run=True))
    wet = convert(layout, options(3))
    assert wet.exit_code == 0
    assert dry.domains == wet.domains
    assert broken_promises(tree.host, truth, tree.bindings) == []
    back = revert(layout, options(3))
    assert [d.name for d in back.domains] == [d.name for d in wet.domains]
    assert fingerprint(tree.host.root) == before


def test_a_killed_process_does_not_stop_the_run(
    make_tree: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = large(make_tree)
    truth = facts(tree.host)
    parent, sync = os.getpid(), OpenDirs.sync

    def killed_in_sync(self: OpenDirs) -> None:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(self)

    monkeypatch.setattr(OpenDirs, "sync", killed_in_sync)
    result = convert(system(str(tree.host.root)), options(2))
    assert result.exit_code == 0
    assert len(result.domains) == len(tree.bindings)
    assert broken_promises(tree.host, truth, tree.bindings) == []


def gone(group: int) -> bool:
    """Whether no process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_killed_with_its_helpers_at_any_moment_it_loses_nothing(make_tree: Build) -> None:
    tree = large(make_tree)
    truth = facts(tree.host)
    command = [
        sys.executable,
        "-c",
        "from uuidfs.convert.run import convert; import sys;"
        "from uuidfs.convert.results import Options;"
        "from uuidfs.layout.connections import system;"
        "convert(system(sys.argv[1]), Options(cpus=3))",
        os.fspath(tree.host.root),
    ]
    for moment in (0.12, 0.16, 0.2, 0.24):
        run = subprocess.Popen(command, cwd=REPOSITORY, process_group=0)
        time.sleep(moment)
        run.kill()
        run.wait()
        wait_for(partial(gone, run.pid), "its helpers die with it")
        assert lost(tree.host, truth) == []
    assert convert(system(str(tree.host.root)), options(3)).exit_code == 0
    assert broken_promises(tree.host, truth, tree.bindings) == []


@pytest.mark.parametrize(
    ("words", "root"),
    [
        (["convert", "--all"], ""),
        (["--root", "/r", "convert", "--all"], "/r"),
        (["convert", "--all", "--root", "/r"], "/r"),
        (["convert", "--all", "--json"], None),
        (["--root", "", "convert", "--all"], None),
        (["convert", "--all", "web"], None),
        (["convert"], None),
        (["revert", "--all"], None),
        (["--root", "/r", "convert", "--all", "--root", "/s"], None),
    ],
)
def test_only_the_upgrade_command_goes_without_typer(words: list[str], root: str | None) -> None:
    assert start.whole_tree(words) == root


def test_the_short_way_says_what_the_long_way_says(make_tree: Build, tmp_path: Path) -> None:
    tree = make_tree(*sample(3))
    root = tree.host.root
    (root / "etc/libvirt/qemu/broken.xml").write_text("<domain>")
    short = uuidfs(root, "convert", "--all")
    assert uuidfs(root, "revert", "--all").code == 1
    longer = uuidfs(root, "convert", "--all", "--lock-timeout", "10")
    assert (short.code, short.out, short.err) == (longer.code, longer.out, longer.err)
    assert short.code == 1
    for words in (["convert", "--all"], ["convert", "--all", "--lock-timeout", "1"]):
        done = uuidfs(tmp_path / "nowhere", *words)
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)


def test_a_host_without_domains_is_scanned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = []

    def counted(documents: Documents) -> Scan:
        scans.append(documents)
        return scan_all(documents)

    monkeypatch.setattr("uuidfs.convert.run.scan_all", counted)
    (tmp_path / "etc/libvirt/qemu").mkdir(parents=True)
    assert convert(system(os.fspath(tmp_path)), Options()).domains == ()
    assert len(scans) == 1
