"""Visits every interleaving of libvirt's and uuidfs's system calls, within a bound.

uuidfs cannot be cloned, so each run builds the tree anew and replays a schedule: at some of the
choices something else is done than to go on. Where a run comes to a state that is new, each
other choice there becomes a schedule. A state is the tree, what libvirt has done and knows, and
all that each process of uuidfs has seen: nothing else decides what comes next.
"""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.exhaustion.hooks import changes_nothing, here, hooked
from tests.exhaustion.picture import Picture
from tests.exhaustion.promises import Broken, at_the_end, in_between
from tests.exhaustion.scenarios import Scenario
from tests.exhaustion.state import LIBVIRT, Bound, Choice, Figures, Process, Schedule, Stopped
from uuidfs.errors import UuidfsError
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.host.virsh import NoAnswerError
from uuidfs.runtime.known_checkpoints import KnownCheckpoints


class Explorer:
    """All runs of one scenario."""

    def __init__(
        self, scenario: Scenario, root: Path, bound: Bound, most_failures: int = 1
    ) -> None:
        self.scenario, self.root, self.bound = scenario, root, bound
        self.template = scenario.template(root)
        self.most_failures = most_failures
        self.todo: list[Schedule] = [()]
        self.states: set[object] = set()
        self.judged: set[tuple[int, int]] = set()
        self.ended: set[tuple[int, int]] = set()
        self.finished: set[tuple[int, int]] = set()  # where libvirt has nothing more to do
        self.figures = Figures()

    def explore(self) -> Figures:
        with hooked():
            while self.todo and len(self.figures.failures) < self.most_failures:
                self.figures.runs += 1
                Run(self, self.todo.pop()).go()
        return self.figures


class Run:
    """One schedule, from a new tree to its end or to a state that was visited before."""

    def __init__(self, explorer: Explorer, schedule: Schedule) -> None:
        explorer.template.build(explorer.root)
        self.explorer, self.bound = explorer, explorer.bound
        self.other = dict(schedule)
        self.schedule = schedule
        self.known = schedule[-1][0] + 1 if schedule else 0
        self.count = 0
        self.story: list[str] = []
        self.daemon = explorer.scenario.daemon(explorer.root)
        self.picture = Picture(explorer.root)
        self.processes = [Process(n) for n in range(len(explorer.scenario.operations))]
        self.running: Process | None = None
        self.over = threading.Semaphore(0)
        self.stopped = False
        self.bursts, self.faults = explorer.bound.bursts, explorer.bound.faults
        self.switches = explorer.bound.switches
        self.in_burst = False
        self.problem: BaseException | None = None

    def go(self) -> None:
        here.run, here.process = self, None
        first, *rest = self.processes
        threads = [threading.Thread(target=self._process, args=(p,)) for p in rest]
        for thread in threads:
            thread.start()
        self._guarded(self._hand_over)
        self._process(first)  # in this thread, which is quicker
        self.over.acquire()
        self._stop()
        for thread in threads:
            thread.join()
        try:
            if self.problem is not None:
                raise self.problem
            if all(process.over for process in self.processes):
                self._end()
        except Broken as broken:
            text = "\n  ".join([str(broken), *self.story])
            self.explorer.figures.failures.append(f"schedule {self.schedule}\n  {text}")

    def _stop(self) -> None:
        self.stopped = True
        for process in self.processes:
            process.turn.release()
        self.over.release()

    def _end(self) -> None:
        key = self.picture.key(), self.daemon.key()
        if key in self.explorer.ended:
            return
        self.explorer.ended.add(key)
        self.explorer.figures.ends += 1
        in_between(self.daemon)  # the last call of all may be the one that breaks something
        self.story.append("-- libvirt goes on to its end, then uuidfs")
        at_the_end(self.daemon, plain="revert" in self.explorer.scenario.does)

    # -- processes --------------------------------------------------------------------------

    def _process(self, process: Process) -> None:
        process.turn.acquire()
        here.run, here.process = self, process
        if not self.stopped:
            self._guarded(lambda: self._operate(process))
        here.process = None
        if not self.stopped:
            process.over = True
            process.seen = 0
            self._guarded(self._hand_over)

    def _operate(self, process: Process) -> None:
        try:
            self.explorer.scenario.operations[process.number](self.daemon)
        except UuidfsError as error:
            self.story.append(f"uuidfs {process.number}: {error}")
        except Stopped:
            if process.told != "kill":
                raise

    def _guarded(self, function: Callable[[], None]) -> None:
        """What stops one thread stops all; what is wrong is told by the first."""
        try:
            function()
        except Stopped:
            self._stop()
        except BaseException as error:  # told at the end of go
            self.problem = error
            self._stop()

    def _hand_over(self) -> None:
        """At the beginning, and where a process has ended."""
        while any(not process.over for process in self.processes):
            verb, number = self._choose(None, quiet=False)
            if verb == "libvirt":
                self._libvirt()
                continue
            self.running = process = self.processes[number]
            process.told = verb
            process.turn.release()
            return
        self.over.release()

    def arrive(self, process: Process, *, look: bool, quiet: bool) -> str:
        """A process is about to look or to change something: who does what before?"""
        if self.stopped or process.told == "kill":
            raise Stopped
        if look and not self.bursts:
            return "go"
        while True:
            verb, number = self._choose(process, quiet=quiet, look=look)
            if verb == "libvirt":
                self._libvirt()
                continue
            if number != process.number:
                self.switches -= 1
                other = self.running = self.processes[number]
                other.told = verb
                other.turn.release()
                process.turn.acquire()
                if self.stopped:
                    raise Stopped
                verb = process.told
            break
        self.in_burst = False
        if verb == "kill":
            process.told = verb
            self.faults -= 1
            self.story.append(f"uuidfs {process.number} is killed")
            raise Stopped
        if verb == "fail":
            self.faults -= 1
        return verb

    # -- choices ----------------------------------------------------------------------------

    def _choose(self, process: Process | None, *, quiet: bool, look: bool = False) -> Choice:
        number, self.count = self.count, self.count + 1
        alive = [p for p in self.processes if not p.over]
        choice: Choice = ("go", (process or alive[0]).number)
        if number < self.known:
            choice = self.other.get(number, choice)
        else:
            self._visit(process, quiet=quiet, look=look)
            for other in self._others(process, alive, quiet=quiet, look=look):
                self.explorer.todo.append((*self.schedule, (number, other)))
        if choice == LIBVIRT and (quiet or look) and not self.in_burst:
            self.bursts, self.in_burst = self.bursts - 1, True
        return choice

    def _visit(self, process: Process | None, *, quiet: bool, look: bool) -> None:
        where = None if process is None else process.number
        tree, daemon = self.picture.key(), self.daemon.key()
        budget = self.bursts, self.faults, self.switches, self.in_burst
        seen = tuple((p.seen, p.told) for p in self.processes)
        state = tree, daemon, seen, where, quiet, look, budget
        if state in self.explorer.states:
            raise Stopped
        self.explorer.states.add(state)
        self.explorer.figures.states += 1
        if (tree, daemon) not in self.explorer.judged:
            self.explorer.judged.add((tree, daemon))
            in_between(self.daemon)

    def _others(
        self, process: Process | None, alive: list[Process], *, quiet: bool, look: bool
    ) -> Iterator[Choice]:
        may_work = not (quiet or look) or self.bursts > 0 or self.in_burst
        done = (self.daemon.key(), self.picture.names_key()) in self.explorer.finished
        if may_work and not done:
            yield LIBVIRT
        if look:
            return
        if not quiet and (process is None or self.switches > 0):
            first = (process or alive[0]).number
            yield from (("go", p.number) for p in alive if p.number != first)
        if process is None or not self.faults:
            return
        self.explorer.figures.errors += 1
        yield "fail", process.number
        if quiet:
            return
        self.explorer.figures.kills += 1
        alone = len(alive) == 1
        if not alone or (self.picture.key(), self.daemon.key()) not in self.explorer.ended:
            yield "kill", process.number

    def _libvirt(self) -> None:
        did = self.daemon.step()
        self.story.append(f"libvirt: {did or 'is done'}")
        if did:
            self.daemon.update(self.picture)
        else:
            key = self.daemon.key(), self.picture.names_key()
            self.explorer.finished.add(key)

    # -- calls ------------------------------------------------------------------------------

    def call(self, name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        process: Process = here.process
        directories = [x for x in arguments if isinstance(x, Directory)]
        what = (name, *(x.path if isinstance(x, Directory) else str(x) for x in arguments))
        if self.arrive(process, look=False, quiet=changes_nothing(name, arguments)) == "fail":
            self.story.append(f"uuidfs {process.number}: EIO from {self._words(what)}")
            process.sees((what, 5))
            raise OSError(5, os.strerror(5))
        try:
            result = real(*arguments)
        except OSError as error:
            process.sees((what, error.errno))
            raise
        process.calls += 1
        who = f"u{process.number}.{process.calls}"
        stamp = (process.number + 1) * 1_000_000 + process.calls
        self.picture.step((d.path for d in directories), who, stamp)
        self.daemon.follow_refiled()
        self.story.append(f"uuidfs {process.number}: {self._words(what)}")
        process.sees((what, result if isinstance(result, bool) else result is None))
        return result

    def ask_checkpoints(self, uuid: str) -> KnownCheckpoints:
        """virsh checkpoint-list, of a daemon that has run since before all files."""
        name = self.ask(uuid)
        if name is None:
            raise NoAnswerError("libvirt knows no such domain")
        names = frozenset(self.daemon.libvirtd.domains[name].checkpoints)
        if (process := here.process) is not None:
            process.sees(tuple(sorted(names)))
        return KnownCheckpoints(names, 0)

    def ask(self, uuid: str) -> str | None:
        """virsh: libvirt comes to the end of what it is doing."""
        for did in self.daemon.finish_operation():
            self.story.append(f"libvirt: {did}")
        self.daemon.update(self.picture)
        name = self.daemon.name_of(uuid)
        if (process := here.process) is not None:
            process.sees(name)
        return name

    def _words(self, what: tuple[str, ...]) -> str:
        return " ".join(what).replace(f"{self.picture.root}/", "")

    def look(self, name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        process: Process = here.process
        if not self.stopped and process.told != "kill":
            self.arrive(process, look=True, quiet=False)
        try:
            result = real(*arguments)
        except BaseException as error:
            process.sees(type(error))
            raise
        if isinstance(result, Entry):
            result = result._replace(ctime=self.picture.changed.get(result.ino, 0))
        elif isinstance(result, list):
            result = sorted(result)
        process.sees(self._seen(result))
        return result

    def _seen(self, result: object) -> object:
        label = self.picture.label
        match result:
            case Entry():
                text = None if result.text is None else self.picture.text(result.text)
                return result.form, label(result.ino), result.nlink, text, result.ctime
            case os.stat_result():
                return result.st_mode, label(result.st_ino), result.st_nlink
            case list():
                return tuple(result)
            case set():
                return frozenset(map(label, result))
            case str():
                return self.picture.text(result)
            case Directory():
                return "directory"
        return result
