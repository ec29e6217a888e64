"""A host on which libvirt and uuidfs are at work at once, for hypothesis to drive.

Kills come between uuidfs's own calls, libvirt's calls too."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.support.libvirt import Libvirtd, Steps, virtlogd_rollover
from tests.support.trees import build, domain_xml, uuid_for
from uuidfs import hook
from uuidfs.check import repair
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.files import change
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind
from uuidfs.reconcile import fast_path
from uuidfs.reconcile.names import Names
from uuidfs.reconcile.queue import ChangedName

NAMES = ("a", "b", "c")
OBJECTS = ("s1", "s2")
CALLS = ("exchange", "rename", "link", "symlink", "unlink")
numbers = st.integers(0, 5)
# How far an operation gets before something else happens; most are short.
counts = st.sampled_from((0, 1, 2, 3, 4, 6, 9, 99, 99))
# At which of uuidfs's own calls libvirt makes how many of its own; and where a kill comes.
schedules = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), max_size=3)
kills = st.none() | st.integers(0, 12)


class Killed(BaseException):
    """SIGKILL: nothing of uuidfs runs any more."""


class HostAtWork(RuleBasedStateMachine):
    """A host: libvirtd as tests.support.libvirt has it, and uuidfs as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.top = Path(tempfile.mkdtemp(prefix="uuidfs-model-"))
        self.host = build(self.top / "host", ()).host
        self.layout = system(os.fspath(self.host.root))
        self.libvirtd = Libvirtd(self.host)
        self.names = Names()
        self.at_work: list[Steps] = []  # what libvirtd is doing
        self.held: set[str] = set()  # names in it
        self.running: set[str] = set()  # with a plain log
        self.pass_due = True  # on the reconciler's agenda; what it starts with
        self.uuids = 0
        self.logged: Counter[str] = Counter()  # lines that each domain wrote to its log
        self.define(99, 0)
        self.define(99, 0)
        for name in ("a", "b"):
            for steps in (
                self.libvirtd.snapshot(name, "s1"),
                self.libvirtd.checkpoint(name, "c1"),
                self.libvirtd.autostart(name),
            ):
                self._begin(steps, 99, name)

    # -- libvirt ------------------------------------------------------------------------------

    def _begin(self, steps: Steps, count: int, *names: str) -> None:
        self.held |= set(names)
        self.at_work.insert(0, self._until_done(steps, names))
        self._step(count, same=True)

    def _until_done(self, steps: Steps, names: tuple[str, ...]) -> Steps:
        yield from steps
        self.held -= set(names)

    def _free(self, number: int) -> str | None:
        there = sorted(set(self.libvirtd.domains) - self.held - self.running)
        return there[number % len(there)] if there else None

    def _new(self, number: int) -> str | None:
        free = [n for n in NAMES if n not in self.held and n not in self.libvirtd.domains]
        return free[number % len(free)] if free else None

    def _step(self, count: int, *, same: bool = False) -> None:
        """Some system calls of libvirtd: of all that it is doing in turn, or of the first."""
        for _ in range(count):
            if not self.at_work:
                return
            steps = self.at_work.pop(0)
            try:
                next(steps)
            except StopIteration:
                if same:
                    return
                continue
            self.at_work.insert(0 if same else len(self.at_work), steps)

    @rule(count=counts, number=numbers)
    def define(self, count: int, number: int) -> None:
        if (name := self._new(number)) is not None:
            self.uuids += 1
            self._begin(self.libvirtd.define(name, uuid_for(f"model {self.uuids}")), count, name)

    @rule(count=counts, number=numbers)
    def save(self, count: int, number: int) -> None:
        if (name := self._free(number)) is not None:
            self._begin(self.libvirtd.save(name), count, name)

    @rule(count=counts, number=numbers, other=numbers)
    def rename(self, count: int, number: int, other: int) -> None:
        old, new = self._free(number), self._new(other)
        if old is not None and new is not None:
            self._begin(self.libvirtd.rename(old, new), count, old, new)

    @rule(count=counts, number=numbers)
    def undefine(self, count: int, number: int) -> None:
        if (name := self._free(number)) is not None:
            self._begin(self.libvirtd.undefine(name), count, name)

    @rule(count=counts, number=numbers, snapshot=st.sampled_from(OBJECTS))
    def snapshot(self, count: int, number: int, snapshot: str) -> None:
        if (name := self._free(number)) is not None:
            self._begin(self.libvirtd.snapshot(name, snapshot), count, name)

    @rule(count=counts, number=numbers)
    def checkpoint(self, count: int, number: int) -> None:
        if (name := self._free(number)) is not None:
            self._begin(self.libvirtd.checkpoint(name, "c1"), count, name)

    @rule(count=counts, number=numbers)
    def snapshot_delete(self, count: int, number: int) -> None:
        name = self._free(number)
        if name is not None and (there := sorted(self.libvirtd.domains[name].snapshots)):
            steps = self.libvirtd.snapshot_delete(name, there[number % len(there)])
            self._begin(steps, count, name)

    @rule(count=st.integers(1, 12))
    def go_on(self, count: int) -> None:
        self._step(count)

    @precondition(lambda self: self.at_work)
    @rule()
    def libvirtd_is_killed_and_started(self) -> None:
        """Its memory is what it reads; uuidfs-check.service runs before it does."""
        self.at_work, self.held = [], set()
        repair(self.layout, Options())
        old, self.libvirtd = self.libvirtd, Libvirtd(self.host)
        self.libvirtd.removed, self.libvirtd.events = old.removed, old.events
        self.libvirtd.writes = old.writes
        names = {path.name[:-4] for path in self.host.config.glob("*.xml")}
        assert names == set(self.libvirtd.domains), "a config is none any more"
        uuids = [known.uuid for known in self.libvirtd.domains.values()]
        assert len(set(uuids)) == len(uuids), "an extra domain appeared"

    # -- uuidfs -------------------------------------------------------------------------------

    @contextmanager
    def _interrupted(self, schedule: list[tuple[int, int]], kill: int | None) -> Iterator[None]:
        """Let libvirt work, and a kill come, between uuidfs's system calls."""
        real = {call: getattr(change, call) for call in CALLS}
        at = dict(schedule)
        made = 0

        def between(call: str) -> object:
            def made_one(*arguments: object) -> object:
                nonlocal made
                self._step(at.get(made, 0))
                if made == kill:
                    raise Killed
                made += 1
                return real[call](*arguments)

            return made_one

        try:
            for call in CALLS:
                setattr(change, call, between(call))
            yield
        except Killed:
            self.the_reconciler_starts_anew()
        finally:
            for call, function in real.items():
                setattr(change, call, function)
            self._follow_refiled()

    @rule(schedule=schedules, kill=kills)
    def full_pass(self, schedule: list[tuple[int, int]], kill: int | None) -> None:
        self.pass_due = False
        with self._interrupted(schedule, kill):
            result = convert(
                self.layout, Options(lock_timeout=0.0, progress=lambda _done, _total: self._drain())
            )
            self.names.replace(result.names.items())
            self.running = {
                name for name in self.running if not self.host.log_of(name).is_symlink()
            }
            self.pass_due |= result.exit_code != 0

    @rule(schedule=schedules, kill=kills)
    def look_at_events(self, schedule: list[tuple[int, int]], kill: int | None) -> None:
        with self._interrupted(schedule, kill):
            self._drain()

    def _drain(self) -> None:
        events, self.libvirtd.events = self.libvirtd.events, []
        calm = {fast_path.Verdict.NOTHING_TO_DO, fast_path.Verdict.FOLDED}
        for outcome in fast_path.fold_changed(
            self.layout, self.names, dict.fromkeys(events), Options().reader
        ):
            self.pass_due |= outcome.verdict not in calm

    @rule()
    def the_reconciler_starts_anew(self) -> None:
        self.names = Names()
        self.pass_due = True

    @rule(count=counts, number=numbers)
    def start_without_hook(self, count: int, number: int) -> None:
        """virtlogd makes a plain log, where there is none. The domain runs, so that nobody
        renames it, until uuidfs has had a look."""
        if (name := self._free(number)) is not None:
            self._begin(self._new_log(name), count, name)

    def _new_log(self, name: str) -> Steps:
        yield
        log = self.host.log_of(name)
        if not os.path.lexists(log):
            self.running.add(name)
            uuid = self.libvirtd.domains[name].uuid
            log.write_bytes(uuid.encode() + b"\n")
            self.logged[uuid] += 1
            self.libvirtd.events.append(ChangedName(Kind.LOG, log.name, log.name))

    @rule(number=numbers, looks=st.booleans())
    def start(self, number: int, looks: bool) -> None:
        """The hook, with hooks/qemu's own shortcut, a look of the reconciler, virtlogd."""
        name = self._free(number)
        if name is None:
            return
        known = self.libvirtd.domains[name]
        config, log = self.host.config_of(name), self.host.log_of(name)
        if not (config.is_symlink() and log.is_symlink()):
            hook.convert_one(self.layout, name, domain_xml(name, known.uuid), start=True)
            self._follow_refiled()
        if looks:
            self.look_at_events([], None)
        with log.open("ab+") as file:
            file.write(known.uuid.encode() + b"\n")
            file.seek(0)
            assert set(file.read().split()) == {known.uuid.encode()}, "a stranger's log"
        self.logged[known.uuid] += 1
        self.libvirtd.events.append(ChangedName(Kind.LOG, log.name, log.name))

    @rule(number=numbers, looks=st.booleans())
    def rollover(self, number: int, looks: bool) -> None:
        """Only a running domain's log is rotated, so the hook comes before any rename."""
        name = self._free(number)
        if name is not None and self.host.log_of(name).exists():
            uuid = self.libvirtd.domains[name].uuid
            held = self.host.log_of(name).read_bytes()
            if set(held.split()) != {uuid.encode()}:
                return  # the name was another's, and this domain did not start yet
            # More backups than there are steps: none falls off the end.
            virtlogd_rollover(self.host, name, uuid.encode() + b"\n", backups=60)
            self.logged[uuid] += 1
            if looks:
                self.full_pass([], None)
            if not self.host.log_of(name).is_symlink():  # what hooks/qemu asks at the release
                hook.convert_one(self.layout, name, domain_xml(name, uuid), start=False)
            self._follow_refiled()

    def _follow_refiled(self) -> None:
        """A checkpoint that uuidfs put right is where libvirt will look for it."""
        for path, text in list(self.libvirtd.truth.items()):
            right = self.host.checkpoint / path.parent.name / path.name
            if (
                path.parent.parent == self.host.snapshot
                and not os.path.lexists(path)
                and (text.startswith(b"<domaincheckpoint"))
            ):
                del self.libvirtd.truth[path]
                self.libvirtd.truth.setdefault(right, text)
