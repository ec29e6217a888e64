"""libvirtd at work on a script, one system call at a time, and what it has written and removed."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from tests.exhaustion.picture import Picture
from tests.support.libvirt import Libvirtd, Steps
from tests.support.trees import Host
from uuidfs.layout.connections import system

Script = tuple[Callable[["Watched"], Steps], ...]


class Watched(Libvirtd):
    """The model, with the calls that it lacks, with logs, and with what it sees in listings."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.listings: list[tuple[str, ...]] = []
        self.copied = False  # somebody copied a config
        self.leaving: set[str] = set()  # UUIDs that are being undefined
        self.moves = False  # QEMU's user has directories elsewhere just now
        self.logs: dict[Path, bytes] = {}  # by the name under which libvirt has left each
        for path in host.log.glob("*.log*"):
            with contextlib.suppress(OSError):
                self.logs[path] = path.read_bytes()

    def delete_tree(self, path: Path) -> Steps:
        if path.is_dir():
            self.listings.append(tuple(sorted(os.listdir(path))))
        yield from super().delete_tree(path)

    def checkpoint_delete(self, name: str, checkpoint: str) -> Steps:
        """``virsh checkpoint-delete``; where libvirt has misfiled it, it only warns."""
        del self.domains[name].checkpoints[checkpoint]
        path = self.host.checkpoint / name / f"{checkpoint}.xml"
        yield from self._remove(name, checkpoint, path)

    def undefine(self, name: str) -> Steps:
        """libvirt 11.2 and later: the mark for one autostart goes as well."""
        self.leaving.add(self.domains[name].uuid)
        yield from self._unlink(self.host.autostart / f"{name}.xml.once")
        yield from super().undefine(name)

    def rollover(self, name: str, helper: str = "") -> Steps:
        """virtlogd, with three backups: links are renamed as they are."""
        uuid = self.domains[name].uuid
        name += helper
        for number in (1, 0, None):
            old = self.host.log_of(name, "" if number is None else f".{number}")
            new = self.host.log_of(name, ".0" if number is None else f".{number + 1}")
            if os.path.lexists(old):
                os.rename(old, new)
                self.logs[new] = self.logs.pop(old)
                self._note("rename", new)
                yield
        log = self.host.log_of(name)
        self.writes += 1
        text = f"{uuid} write {self.writes}\n".encode()
        with log.open("ab") as file:
            file.write(text)
        self.logs[log] = text
        self._note("create", log)
        yield

    def copy(self, name: str, other: str) -> Steps:
        """``sed s/NAME/OTHER/`` on a config, with libvirtd stopped."""
        self.copied = True
        old, new = (f"<name>{which}</name>".encode() for which in (name, other))
        text = self.host.config_of(name).read_bytes().replace(old, new)
        self.host.config_of(other).write_bytes(text)
        self.truth[self.host.config_of(other)] = text
        self._note("create", self.host.config_of(other))
        yield

    def exchange(self, one: Path, other: Path) -> Steps:
        """QEMU's user exchanges two directories, and back: by way of a third name."""
        aside = one.with_name("aside")
        yield from self._move([(one, aside), (other, one), (aside, other)] * 2)

    def away(self, one: Path) -> Steps:
        """QEMU's user moves a directory away and back."""
        aside = one.with_name("aside")
        yield from self._move([(one, aside), (aside, one)])

    def _move(self, moves: list[tuple[Path, Path]]) -> Steps:
        for number, (old, new) in enumerate(moves, 1):
            os.rename(old, new)
            self.moves = number < len(moves)
            self.calls.append(("move", str(new.relative_to(self.host.root))))
            yield


class Daemon:
    """``dies_after``: so many calls, then libvirtd is killed, and starts after uuidfs's end."""

    def __init__(self, root: Path, script: Script, dies_after: int | None = None) -> None:
        self.host = Host(root)
        self.layout = system(os.fspath(root))
        self.libvirtd = Watched(self.host)
        self.written: dict[Path, set[bytes]] = {}
        marked = self.host.autostart / "a.xml.once"
        known = self.libvirtd.domains.get("a")
        self.starts_once = known.uuid if known is not None and marked.is_symlink() else None
        self.all_logs = set(self.libvirtd.logs.values())
        self.restored: Path | None = None
        self.steps = 0
        self.dies_after = dies_after
        self._script = list(script)
        self._current: Steps | None = None
        self._told = 0
        self._key: int | None = None
        self._remember()

    @property
    def is_dead(self) -> bool:
        return self.dies_after is not None and self.steps >= self.dies_after

    def step(self) -> str | None:
        """The next system call, in words; None when there is none."""
        while not self.is_dead and (self._current is not None or self._script):
            if self._current is None:
                self._current = self._script.pop(0)(self.libvirtd)
            try:
                next(self._current)
            except StopIteration:
                self._current = None
                continue
            self.steps += 1
            self._remember()
            return " ".join(self.libvirtd.calls[-1])
        self._key = None
        return None

    def _remember(self) -> None:
        self._key = None
        for path, text in self.libvirtd.truth.items():
            self.written.setdefault(path, set()).add(text)
        self.all_logs |= set(self.libvirtd.logs.values())

    def update(self, picture: Picture) -> None:
        """Show the picture what the last steps have changed."""
        calls = self.libvirtd.calls[self._told :]
        self._told = len(self.libvirtd.calls)
        who, stamp = f"l{self.steps}", self.steps
        if any(call == "move" for call, _ in calls):
            picture.step_anywhere(who, stamp)
        else:
            paths = (self.host.root / path for _, path in calls)
            picture.step((os.fspath(path.parent) for path in paths), who, stamp)

    def finish(self) -> None:
        """Everything that is left to do."""
        while self.step() is not None:
            pass

    def finish_operation(self) -> list[str]:
        """What it is doing comes to its end: a domain that is renamed cannot be asked."""
        done = []
        while self._current is not None and not self.is_dead:
            try:
                next(self._current)
            except StopIteration:
                self._current = None
            else:
                self.steps += 1
                self._remember()
                done.append(" ".join(self.libvirtd.calls[-1]))
        return done

    def name_of(self, uuid: str) -> str | None:
        """What virsh says; nothing when no daemon runs."""
        if self.is_dead:
            return None
        names = [name for name, known in self.libvirtd.domains.items() if known.uuid == uuid]
        return names[-1] if names else None

    def follow_refiled(self) -> None:
        """A checkpoint that uuidfs put right is where libvirt will look for it."""
        truth = self.libvirtd.truth
        for path, text in list(truth.items()):
            right = self.host.checkpoint / path.parent.name / path.name
            if (
                path.parent.parent == self.host.snapshot
                and text.startswith(b"<domaincheckpoint")
                and not os.path.lexists(path)
            ):
                del truth[path]
                domain = self.libvirtd.domains.get(path.parent.name)
                if domain is None or path.name.removesuffix(".xml") in domain.checkpoints:
                    truth.setdefault(right, text)  # else it was deleted since, and goes
                self._remember()

    def key(self) -> int:
        """All that decides what libvirt does next, and what has to be true."""
        if self._key is None:
            known = self.libvirtd
            self._key = hash(
                (
                    self.steps,
                    self.restored,
                    tuple(known.calls),
                    tuple(known.listings),
                    frozenset(known.truth.items()),
                    frozenset(known.removed.items()),
                    frozenset(known.logs.items()),
                )
            )
        return self._key
