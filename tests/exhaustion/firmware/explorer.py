"""Visits every order of libvirt's operations and uuidfs's runs, within a bound.

A world is a tree and its daemon. From each new one follow all operations of libvirt, a whole run
of uuidfs, and that run with one operation, or a kill, before any of its own calls. A domain's start
runs the hook. Nothing is modelled of uuidfs: it works on a real tree, and asks the model by virsh.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.exhaustion.firmware.libvirt import Broken, Libvirt, Limit
from tests.exhaustion.firmware.world import KEPT, Look, World
from tests.support.process import REPOSITORY
from tests.support.trees import Host
from uuidfs import hook
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.errors import UuidfsError
from uuidfs.files import change
from uuidfs.firmware import redefine, run
from uuidfs.firmware.plan import Mode
from uuidfs.firmware.run import FirmwareOptions, convert_firmware, revert_firmware
from uuidfs.layout.connections import system
from uuidfs.runtime.flock import try_lock

X, Y = (f"{number}0000000-aaaa-4bbb-8ccc-dddddddddddd" for number in (1, 2))
CALLS = ("link", "unlink", "rename", "rename_new", "exchange", "symlink")

Action = Callable[[], object]


class Killed(BaseException):
    """uuidfs is killed here."""


class Blocked(Exception):
    """The hook waits for a lock that uuidfs holds for a moment: the start comes later."""


@dataclass
class Figures:
    """What was visited."""

    worlds: int = 0
    runs: int = 0
    kills: int = 0
    limits: int = 0
    failures: list[str] = field(default_factory=list)

    def counts(self) -> list[int]:
        return [self.worlds, self.runs, self.kills, self.limits, len(self.failures)]


class Explorer:
    """All worlds of one style of definitions, within ``depth`` operations and runs."""

    def __init__(
        self,
        root: Path,
        patch: pytest.MonkeyPatch,
        *,
        implied: bool,
        refuses: bool,
        mode: Mode,
        depth: int,
        most_failures: int = 1,
    ) -> None:
        self.root, self.mode, self.depth = root, mode, depth
        self.most_failures = most_failures
        self.layout = system(str(root))._replace(live=True)
        self.daemon = Libvirt(Host(root), implied, refuses)
        self.figures = Figures()
        self.known: set[object] = set()
        self.gates: dict[object, bool] = {}
        self.arrive: Callable[[str], None] | None = None
        self._hook_up(patch)

    def _hook_up(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(run, "runs", lambda _layout: True)
        patch.setattr(redefine, "virsh", self._arriving("virsh", self.daemon.virsh))
        patch.setattr(hook, "LOCK_WAIT", 0.0)
        patch.setattr(hook, "_tell", lambda *_: None)
        for name in CALLS:
            patch.setattr(change, name, self._arriving(name, getattr(change, name)))

    def _arriving(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if self.arrive is not None:
                self.arrive(f"{name} {arguments[2] if name == 'virsh' else ''}".strip())
            return real(*arguments, **named)

        return call

    # -- the search -------------------------------------------------------------------------

    def explore(self) -> Figures:
        level: list[tuple[World, tuple[str, ...]]] = [(self._first(), ())]
        for depth in range(self.depth):
            following: list[tuple[World, tuple[str, ...]]] = []
            for world, story in level:
                for name, after in self._from(world, story, last=depth + 1 == self.depth):
                    following.append((after, (*story, name)))
                if len(self.figures.failures) >= self.most_failures:
                    return self.figures
            level = following
        self.figures.worlds = len(self.known)
        return self.figures

    def _first(self) -> World:
        """alpha, which has run once, and which uuidfs has seen."""
        host = self.daemon.host
        shutil.rmtree(self.root, ignore_errors=True)
        for path in (host.config, host.log, host.snapshot, host.status, self.daemon.nvram):
            path.mkdir(parents=True)
        (self.root / "run/uuidfs/lock").mkdir(parents=True, mode=0o700)
        (self.root / "run/uuidfs").chmod(0o700)
        self.daemon.define(X, "alpha")
        self._start(X)
        self.daemon.stop(X)
        self._convert()
        return Look(self.root, self.daemon).world()

    def _from(
        self, world: World, story: tuple[str, ...], *, last: bool
    ) -> Iterator[tuple[str, World]]:
        world.build(self.root, self.daemon)
        names = [name for name, _ in self._actions()]
        for name in names:
            yield from self._tried(world, story, name, partial(self._act, name))
        yield from self._tried(world, story, "revert", self._revert, keep=False)
        points = self._count(world)
        yield from self._tried(world, story, "uuidfs", self._convert)
        if last:
            return
        for number in range(points):
            self.figures.kills += 1
            for name in ("kill", *names):
                yield from self._tried(
                    world, story, f"uuidfs, {name} before its call {number}", self._at(number, name)
                )

    def _tried(
        self, world: World, story: tuple[str, ...], name: str, action: Action, *, keep: bool = True
    ) -> Iterator[tuple[str, World]]:
        world.build(self.root, self.daemon)
        self.figures.runs += 1
        try:
            action()
            after = Look(self.root, self.daemon)
        except Limit:
            self.figures.limits += 1
        except Blocked:
            pass
        except Broken as broken:
            told = "\n  ".join((*story, name, *self._picture()))
            self.figures.failures.append(f"{broken}:\n  {told}")
        else:
            if keep and after.key not in self.known:
                self.known.add(after.key)
                yield name, after.world()

    def _picture(self) -> list[str]:
        """For messages."""
        lines = [str(domain) for domain in self.daemon.domains.values()]
        found = subprocess.run(
            ["find", "etc", "var", "-type", "f", "-printf", "%p %i\\n"],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
        )
        return lines + sorted(found.stdout.splitlines())

    # -- libvirt's operations ---------------------------------------------------------------

    def _actions(self) -> Iterator[tuple[str, Action]]:
        daemon = self.daemon
        for uuid, who in ((X, "x"), (Y, "y")):
            domain = daemon.domains.get(uuid)
            if domain is None:
                for name in ("alpha", "beta"):
                    if daemon.named(name) is None:
                        yield f"define {who} as {name}", partial(daemon.define, uuid, name)
                continue
            yield f"define {who} again", partial(daemon.define, uuid, domain.name)
            if domain.live is not None:
                yield f"stop {who}", partial(daemon.stop, uuid)
                continue
            yield f"start {who}", partial(self._start, uuid)
            for name in ("alpha", "beta"):
                if daemon.named(name) is None:
                    yield f"rename {who} to {name}", partial(daemon.rename, uuid, name)
            yield f"undefine {who} --nvram", partial(daemon.undefine, uuid, nvram=True)
            yield f"undefine {who}", partial(daemon.undefine, uuid, nvram=False)
            if uuid == X and domain.snapshot is None:
                yield "snapshot x", partial(daemon.snapshot, X)
            elif uuid == X:
                yield "snapshot revert x", partial(daemon.snapshot_revert, X)

    def _act(self, name: str) -> None:
        dict(self._actions())[name]()

    def _start(self, uuid: str) -> None:
        """The hook comes first. It is not interrupted: libvirt waits for it."""
        arrive, self.arrive = self.arrive, None
        lock = try_lock(str(self.root / f"run/uuidfs/lock/{uuid}.lock"))
        if lock is None:
            raise Blocked
        os.close(lock)
        self.daemon.excused = self._was_removed(uuid)
        try:
            self._hook(uuid)
            self.daemon.start(uuid)
        finally:
            self.arrive = arrive

    def _was_removed(self, uuid: str) -> bool:
        """Whether the file is gone and the domain is called as uuidfs knows it: then a person has
        removed it. So it seems, too, where it was renamed twice, and its file deleted between."""
        note = self.root / KEPT / uuid / "nvram"
        known = self.daemon.host.config / f"by-uuid/{uuid}.xml"
        name = f"<name>{self.daemon.domains[uuid].name}</name>"
        if not note.exists() or not known.exists():
            return False
        return note.stat().st_nlink == 1 and name in known.read_text()

    def _hook(self, uuid: str) -> None:
        domain = self.daemon.domains[uuid]
        xml = self.daemon.xml(domain).encode()
        if not self._gate(domain.name, xml):
            return
        hook._settle_firmware(self.layout, domain.name, "prepare", xml)
        try:
            hook.convert_one(self.layout, domain.name, xml, start=True)
        except UuidfsError:
            pass  # the next run does it

    def _gate(self, name: str, xml: bytes) -> bool:
        """Whether hooks/qemu starts its slow path."""
        mark = self.root.parent / "slow"
        python = self.root.parent / "python"
        if not python.exists():
            python.write_text(f"#!/bin/sh\n: >{mark}\n")
            python.chmod(0o755)
        key = name, xml, Look(self.root, self.daemon).files
        if key not in self.gates:
            mark.unlink(missing_ok=True)
            subprocess.run(
                [REPOSITORY / "hooks/qemu", name, "prepare", "begin", "-"],
                input=xml,
                env={
                    "UUIDFS_ROOT": str(self.root),
                    "UUIDFS_PYTHON": str(python),
                    "PATH": "/usr/bin:/bin",
                },
                check=True,
            )
            self.gates[key] = mark.exists()
        return self.gates[key]

    # -- uuidfs's runs ----------------------------------------------------------------------

    def _convert(self) -> None:
        try:
            convert_firmware(self.layout, FirmwareOptions(self.mode, lock_timeout=0.0))
            self.arrive = None
            convert(self.layout, Options(lock_timeout=0.0))
        finally:
            self.arrive = None

    def _revert(self) -> None:
        """It never makes two domains share a path."""
        before = self._paths()
        revert_firmware(self.layout, FirmwareOptions(Mode.ALL, lock_timeout=0.0))
        after = self._paths()
        if len(set(after)) < len(after) and len(set(before)) == len(before):
            raise Broken("revert makes two domains share a file")

    def _paths(self) -> list[str]:
        return [d.path or self.daemon.path_of(d.name) for d in self.daemon.domains.values()]

    def _count(self, world: World) -> int:
        world.build(self.root, self.daemon)
        calls: list[str] = []
        self.arrive = calls.append
        self._convert()
        return len(calls)

    def _at(self, number: int, name: str) -> Action:
        """A run in which libvirt, or a kill, comes before a call."""

        def act() -> None:
            count = 0

            def arrive(_call: str) -> None:
                nonlocal count
                count += 1
                if count == number + 1:
                    self.arrive = None
                    if name == "kill":
                        raise Killed
                    actions = dict(self._actions())
                    if name not in actions:
                        raise Blocked
                    actions[name]()

            self.arrive = arrive
            try:
                self._convert()
            except Killed:
                pass

        return act
