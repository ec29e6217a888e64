"""Large runs use several processes: same results, and killing any of them loses nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import REPOSITORY, wait_for
from tests.support.trees import Tree, sample
from tests.support.truth import broken_promises, facts, fingerprint, lost
from uuidfs.apply.open_dirs import OpenDirs
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
    assert [domain.error for domain in result.domains if domain.error] == []
    assert result.exit_code == 0
    assert len(result.domains) == len(tree.bindings)
    assert broken_promises(tree.host, truth, tree.bindings) == []


SCRIPT = """
import sys
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.layout.connections import system
sys.exit(convert(system(sys.argv[1]), Options(cpus=3)).exit_code)
"""


def converted(tree: Tree) -> int:
    """How many configs are links by now."""
    with os.scandir(tree.host.config) as entries:
        return sum(entry.is_symlink() for entry in entries)


def killed_once(command: Sequence[str], tree: Tree, wanted: int) -> int:
    """Start a run and kill it when it has converted so many configs; returns its exit code."""
    run = subprocess.Popen(command, cwd=REPOSITORY, process_group=0)
    while converted(tree) < wanted and run.poll() is None:
        time.sleep(0.0005)
    run.kill()
    code = run.wait()

    def gone() -> bool:
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(gone, "its helpers end with it")
    return code


def test_killed_with_its_helpers_at_any_moment_it_loses_nothing(make_tree: Build) -> None:
    tree = large(make_tree)
    layout, truth = system(str(tree.host.root)), facts(tree.host)
    command = [sys.executable, "-c", SCRIPT, os.fspath(tree.host.root)]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    assert broken_promises(tree.host, truth, tree.bindings) == [], "when nobody kills it"
    mid_work = 0
    for wanted in (0, 1, MANY // 3, MANY // 2, MANY - 10):
        assert revert(layout, options(1)).exit_code == 0
        assert converted(tree) == 0
        code = killed_once(command, tree, wanted)
        mid_work += code == -signal.SIGKILL and 0 < converted(tree) < MANY
        assert lost(tree.host, truth) == []
    print("killed at work:", mid_work)
    assert mid_work, "no kill came while it was at work"
    assert convert(layout, options(3)).exit_code == 0
    assert broken_promises(tree.host, truth, tree.bindings) == []


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
