"""The hook: against an empty shell script where it has nothing to do, against an empty Python
where it converts."""

import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import child, disk, limits, tree
from benchmarks.limits import Figure

IDLE_OPERATIONS = (  # operation, sub-operation, as libvirt calls the hook
    ("prepare", "begin"),
    ("start", "begin"),
    ("started", "begin"),
    ("stopped", "end"),
    ("release", "end"),
    ("migrate", "begin"),
    ("restore", "begin"),
    ("reconnect", "begin"),
    ("attach", "begin"),
)


def install(python: str, root: Path) -> Path:
    """Install the hook below ``root`` as an administrator would, with this interpreter."""
    command = child.uuidfs_command(python, root, "hook", "install")
    subprocess.run(command, env=child.ENVIRONMENT, check=True, capture_output=True)
    return root / "etc/libvirt/hooks/qemu"


def call(program: str, words: Sequence[str], xml: bytes, root: Path) -> float:
    """Start a program as libvirt starts the hook; returns the seconds until its end."""
    reader, writer = os.pipe()
    os.write(writer, xml)  # fits into the pipe
    os.close(writer)
    environment = {**child.ENVIRONMENT, "UUIDFS_ROOT": str(root)}
    actions = [(os.POSIX_SPAWN_DUP2, reader, 0), (os.POSIX_SPAWN_CLOSE, reader)]
    began = time.perf_counter()
    pid = os.posix_spawn(program, [program, *words], environment, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    took = time.perf_counter() - began
    os.close(reader)
    if status:
        raise RuntimeError(f"{program} {words} ended with status {status}")
    return took


def idle(python: str, base: Path, count: int, rounds: int) -> Iterator[Figure]:
    """Every operation in which the hook has nothing to do, in a converted tree."""
    empty = base / "empty-hook"
    empty.write_text("#!/bin/sh\nexit 0\n")
    empty.chmod(0o755)
    name = tree.name_of(count // 2)
    xml = tree.domain_xml(name).encode()
    with disk.fresh(base, partial(tree.build, count=count)) as root:
        child.run(child.uuidfs_command(python, root, "convert", "--all"))
        hook = install(python, root)
        for operation, sub in IDLE_OPERATIONS:
            child.note(f"{count} domains: hook, {operation}")
            words = (name, operation, sub, "-")
            ours: list[float] = []
            theirs: list[float] = []
            for number in range(rounds):
                pair = [(str(hook), ours), (str(empty), theirs)]
                for program, took in pair if number % 2 else reversed(pair):
                    took.append(call(program, words, xml, root))
            yield from _idle_figures(f"hook {operation} {sub}, {count} domains", ours, theirs)


def _idle_figures(what: str, ours: list[float], theirs: list[float]) -> Iterator[Figure]:
    a, b = statistics.median(ours), statistics.median(theirs)
    means = statistics.fmean(ours) / statistics.fmean(theirs)
    yield Figure(
        f"{what} / `exit 0`",
        a / b,
        limits.HOOK_IDLE,
        detail=f"{a * 1e3:.3f} / {b * 1e3:.3f} ms; of means {means:.2f}",
    )


def converting(python: str, base: Path, count: int, rounds: int) -> Iterator[Figure]:
    """The hook that converts a plain domain, against ``python -I -c pass``.

    All other domains of the tree are converted; each round adds a plain one.
    """
    ours: list[float] = []
    theirs: list[float] = []
    with disk.fresh(base, partial(tree.build, count=count)) as root:
        child.run(child.uuidfs_command(python, root, "convert", "--all"))
        hook = install(python, root)
        child.note(f"{count} domains: hook converts, {python}")
        for number in range(rounds + 1):
            name = tree.name_of(count + number)
            tree.add_domain(root, name)
            os.sync()
            words = (name, "prepare", "begin", "-")
            took = call(str(hook), words, tree.domain_xml(name).encode(), root)
            bare = call(python, ("-I", "-c", "pass"), b"", root)
            _must_be_converted(root, name)
            if number:  # the first one writes the compiled modules and warms the cache
                ours.append(took)
                theirs.append(bare)
    a, b = statistics.median(ours), statistics.median(theirs)
    detail = (
        f"{a * 1e3:.1f} ms ({min(ours) * 1e3:.1f} to {max(ours) * 1e3:.1f}) / "
        f"{b * 1e3:.1f} ms; of the least {min(ours) / min(theirs):.2f}"
    )
    yield Figure(
        f"hook that converts, {count} domains, {python} / `-I -c pass`",
        a / b,
        limits.HOOK_CONVERTS,
        detail=detail,
    )


def _must_be_converted(root: Path, name: str) -> None:
    uuid = tree.uuid_of(name)
    links = [root / tree.CONFIGS / f"{name}.xml"]
    links += [root / tree.LOGS / f"{name}{suffix}" for suffix in tree.SUFFIXES]
    links += [root / tree.SNAPSHOTS / name / f"{entry}.xml" for entry in tree.SNAPSHOT_NAMES]
    for link in links:
        if not (link.is_symlink() and uuid in str(link.readlink()) and link.exists()):
            raise RuntimeError(f"the hook did not convert {link}")
