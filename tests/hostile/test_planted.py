"""Traps in the directories of QEMU's user: uuidfs changes nothing but what it is for (P7)."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash.harness import WORKERS, Command, Outcome, report, run, uuidfs
from tests.hostile.plants import INNOCENT, TARGET, Ground, lay_out_victim, traps
from tests.support.hook import hook, hook_tools
from tests.support.trees import QEMU_UID, Host, Tree, build, sample
from tests.support.truth import Fact, changes, facts, fingerprint, lost, unconverted

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="plants files of other users: root")

TRAPS = dict(traps())
ENDINGS = {0, 1, 3}  # done, something failed, check found something


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users can reach, unlike pytest's own."""
    directory = Path(tempfile.mkdtemp(prefix="uuidfs-hostile-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def outside(host: Host) -> dict[str, tuple[object, ...]]:
    """All of the tree that is neither a store nor a directory of names."""
    ours = [
        os.path.relpath(path, host.root)
        for path in (
            host.config,
            host.log,
            host.snapshot,
            host.checkpoint,
            host.store("snapshot").parent,
        )
    ]
    return {
        rel: print_
        for rel, print_ in fingerprint(host.root).items()
        if not any(rel == top or rel.startswith(f"{top}/") for top in ours)
    }


def wrong(step: str, done: Outcome, endings: set[int]) -> list[str]:
    """How a command must not end, whatever it met."""
    problems = [f"{step}: traceback: {done.err[-800:]}"] if done.traceback else []
    if done.code not in endings:
        problems.append(f"{step}: exit {done.code}: {done.err[-300:]}")
    if any(not (c.isprintable() or c == "\n") for c in done.err):
        problems.append(f"{step}: raw control characters: {done.err!r}")
    return problems


@pytest.mark.parametrize("converted", [False, True], ids=["before", "after the conversion"])
def test_nothing_outside_the_store_and_the_names_changes(converted: bool, place: Path) -> None:
    tools = hook_tools(place / "tools")

    def spring(trap: str) -> list[str]:
        with tempfile.TemporaryDirectory(dir=place) as directory:
            return sprung(trap, Path(directory), tools, converted=converted)

    with ThreadPoolExecutor(WORKERS) as pool:
        results = dict(zip(TRAPS, pool.map(spring, TRAPS), strict=True))
    failures = {trap: problems for trap, problems in results.items() if problems}
    if failures:
        pytest.fail(report(failures), pytrace=False)


def sprung(trap: str, place: Path, tools: Path, *, converted: bool) -> list[str]:
    """Plant one trap and run everything over it; returns what went wrong."""
    place.chmod(0o755)
    tree = build(place / "root", sample(2))
    ground = Ground(tree.host, place / "victim")
    lay_out_victim(ground.victim)
    if converted and run(uuidfs(tree.host.root, "convert", "--all")).code != 0:
        return ["the plain tree could not be converted"]
    TRAPS[trap](ground)
    problems = []
    for step, command, endings in commands(tree, tools):
        problems += attack(tree, ground, step, command, endings)
    return problems


def commands(tree: Tree, tools: Path) -> Iterator[tuple[str, Command, set[int]]]:
    """Everything that a host's administrator and libvirt would run."""
    root = tree.host.root
    yield "convert", uuidfs(root, "convert", "--all"), ENDINGS
    yield "hook", hook(root, tools, TARGET, tree.bindings[TARGET]), {0}
    yield "status", uuidfs(root, "status", "--json"), ENDINGS
    yield "repair", uuidfs(root, "check", "--repair", "--json"), ENDINGS
    yield "revert", uuidfs(root, "revert", "--all"), ENDINGS


def attack(tree: Tree, ground: Ground, step: str, command: Command, endings: set[int]) -> list[str]:
    """Run one command over the trap, and look at everything that it must not have touched."""
    host = tree.host
    # The target's metadata is what the trap is in; its config and logs are not.
    truth = {
        rel: want
        for rel, want in facts_of(host).items()
        if rel.startswith(("etc/", "var/log/")) or f"/{INNOCENT}/" in rel
    }
    victim, rest = fingerprint(ground.victim, ctime=True), outside(host)
    foreign = planted(host)
    done = run(command)
    problems = wrong(step, done, endings)
    problems += [
        f"{step}: victim: {each}"
        for each in changes(victim, fingerprint(ground.victim, ctime=True))
    ]
    problems += [f"{step}: outside: {each}" for each in changes(rest, outside(host))]
    problems += [f"{step}: planted: {each}" for each in changes(foreign, planted(host))]
    problems += [f"{step}: {each}" for each in lost(host, truth)]
    innocent = {INNOCENT: tree.bindings[INNOCENT]}
    link = host.config_of(INNOCENT)
    if step == "convert":
        # With snapshot itself gone, the innocent domain has no snapshots to convert.
        real = not any(top.is_symlink() for top in (host.lib, host.snapshot, host.checkpoint))
        if unconverted(host, innocent) if real else not link.is_symlink():
            problems.append(f"{INNOCENT} was not converted: {done.err[-300:]}")
    if step == "revert" and link.is_symlink():
        problems.append(f"{INNOCENT} was not reverted: {done.err[-300:]}")
    if "--json" in command.argv and done.code in endings:
        json.loads(done.out)
    return problems


def facts_of(host: Host) -> dict[str, Fact]:
    """The truth of those parts of the tree that can be read without falling into the trap."""
    paths = [
        *host.config.glob("*.xml"),
        *host.log.glob("*.log*"),
        *host.snapshot.glob(f"{INNOCENT}/*.xml"),
    ]
    return facts(host, [os.path.relpath(path, host.root) for path in paths if path.is_file()])


def planted(host: Host) -> dict[str, tuple[object, ...]]:
    """What belongs to QEMU's user in libvirt's metadata directories: nothing for uuidfs."""
    return {
        rel: (mode, ino, extra)
        for rel, (mode, ino, uid, _, extra, _) in fingerprint(host.lib).items()
        if uid == QEMU_UID
    }
