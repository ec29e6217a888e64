"""What is under way when the power goes, and what has to be there afterwards."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.crash import scenarios as kills
from tests.crash.test_kill import finished
from tests.support import libvirt
from tests.support.libvirt import Libvirtd, finish
from tests.support.process import uuidfs
from tests.support.trees import Host, build, sample
from tests.support.truth import Fact, fact, facts, lost

Action = Callable[[Host], Sequence[str] | None]
"""Does something itself, or returns what to call uuidfs with."""

OLD, NEW = "vm0000", "renamed"
_KINDS = ("config", "log", "snapshot", "checkpoint")


@dataclass(frozen=True)
class Truth:
    """Before the actions: what names open, and the files in the stores; after them: names."""

    before: Mapping[str, Fact]
    stored: tuple[Fact, ...]
    after: Mapping[str, Fact]


@dataclass(frozen=True)
class Scenario:
    """``judge`` tells what is wrong after ``recovery`` has run on what a power cut left.

    ``early`` tells what names do not open before it, where names do not change."""

    name: str
    root: Path
    actions: tuple[Action, ...]
    judge: Callable[[Host, Truth], list[str]]
    early: Callable[[Host, Truth], list[str]]
    recovery: tuple[str, ...] = ("convert", "--all")
    may_fail: bool = False
    exchange: bool = True


def read_before(host: Host) -> tuple[dict[str, Fact], tuple[Fact, ...]]:
    """The first two parts of a Truth."""
    return facts(host), tuple(fact(path) for path in _stored(host))


def _stored(host: Host) -> list[Path]:
    return [
        path
        for kind in _KINDS
        for path in sorted(host.store(kind).rglob("*"))
        if path.is_file() and not path.is_symlink()
    ]


def _runs(*words: str) -> Action:
    return lambda host: words


# -- convert and revert, as tests/crash has them ---------------------------------------------


def _as_killed(make: Callable[[Path], kills.Scenario], directory: Path) -> Scenario:
    scenario = make(directory)

    def judge(host: Host, truth: Truth) -> list[str]:
        return finished(scenario, host, truth.before)

    words = ("convert" if scenario.converted else "revert", "--all")
    return Scenario(
        make.__name__,
        scenario.template,
        (_runs(*words),),
        judge,
        lambda host, truth: lost(host, truth.before, scenario.moved),
        recovery=words,
        exchange=scenario.name != "without exchange",
    )


def first_convert(directory: Path) -> Scenario:
    """The first conversion of a plain tree."""
    return _as_killed(kills.first_convert, directory)


def mixed(directory: Path) -> Scenario:
    """A converted tree in which libvirt and virtlogd have been at work since."""
    return _as_killed(kills.mixed, directory)


def reverted(directory: Path) -> Scenario:
    """The way back."""
    return _as_killed(kills.reverted, directory)


def without_exchange(directory: Path) -> Scenario:
    """The first conversion on a file system without RENAME_EXCHANGE."""
    return _as_killed(kills.without_exchange, directory)


# -- a rename by libvirt ----------------------------------------------------------------------


def renamed(directory: Path) -> Scenario:
    """A libvirt that renames a domain, and the conversion after it. The power can go in both.

    Each file has to be there as it was, or as it is in the end: the documents are others then.
    """
    host = _converted(directory / "renamed")

    def rename(live: Host) -> None:
        real = libvirt._write_new

        def synced(path: Path, data: bytes, *, sync: bool) -> Path:
            return real(path, data, sync=True)

        libvirt._write_new = synced  # the model saves time; libvirt syncs
        libvirt.libvirt_domrename(live, OLD, NEW)

    def neither(live: Host, truth: Truth) -> list[str]:
        problems = []
        for rel, want in truth.before.items():
            new = rel.replace(OLD, NEW)
            choices = [(rel, want)]
            if new in truth.after:
                choices.append((new, truth.after[new]))
                choices.append((new.replace("/checkpoint/", "/snapshot/"), truth.after[new]))
            found = [lost(live, {name: wanted}) for name, wanted in choices]
            if all(found):
                problems += [each[0] for each in found]
        return problems

    actions: tuple[Action, ...] = (rename, _runs("convert", "--all"))
    return Scenario("renamed", host.root, actions, neither, neither, may_fail=True)


# -- the trash ---------------------------------------------------------------------------------


def trashed(directory: Path) -> Scenario:
    """What libvirt undefined and deleted goes to the trash, and comes back from it."""
    host = _converted(directory / "trashed")
    daemon = Libvirtd(host)
    finish(daemon.snapshot_delete("vm0001", "base"))
    finish(daemon.undefine(OLD))

    def judge(live: Host, truth: Truth) -> list[str]:
        names = {want.ino for want in facts(live).values()}
        reached = [
            each
            for path in _stored(live)
            if "trash" in path.parts or path.stat().st_ino in names
            for each in (fact(path),)
        ]
        reached += facts(live).values()
        problems = [
            f"nothing reaches what began {want.data[:90]!r} (inode {want.ino})"
            for want in truth.stored
            if want not in reached
        ]
        return problems + early(live, truth)

    def early(live: Host, truth: Truth) -> list[str]:
        return lost(live, truth.before)

    restores = tuple(_restore(number) for number in range(4))
    actions = (_runs("convert", "--all"), *restores, _runs("convert", "--all"))
    return Scenario("trashed", host.root, actions, judge, early, may_fail=True)


def _restore(number: int) -> Action:
    """The first is the config; entries that are restored are no longer listed."""

    def action(host: Host) -> Sequence[str] | None:
        listed = uuidfs(host.root, "trash", "list", "--json").ok().json["entries"]
        listed.sort(key=lambda entry: (entry["kind"] != "config", entry["id"]))
        return ("trash", "restore", str(listed[0]["id"])) if listed else None

    return action


def _converted(root: Path) -> Host:
    host = build(root, sample(2)).host
    uuidfs(host.root, "convert", "--all").ok()
    # Of the host's start: /run would be empty after a power cut.
    if (left := root / "run/uuidfs").is_dir():
        for path in sorted(left.rglob("*"), reverse=True):
            os.rmdir(path) if path.is_dir() else os.unlink(path)
    return host


# -- the bench itself --------------------------------------------------------------------------


def careless(directory: Path) -> Scenario:
    """Not uuidfs: for a moment a config is where nobody looks. The bench has to see it."""
    plain = first_convert(directory)

    def take_away(host: Host) -> None:
        os.rename(host.config_of(OLD), host.root / "nowhere")
        os.rename(host.root / "nowhere", host.config_of(OLD))

    return replace(plain, name="careless", actions=(take_away,))


ALL = (first_convert, mixed, reverted, without_exchange, renamed, trashed)
