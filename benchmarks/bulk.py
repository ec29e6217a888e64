"""convert --all of whole trees: against the bare loop, a shell script and find."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from benchmarks import child, disk, limits, tree
from benchmarks.child import Took, middle, times
from benchmarks.limits import Figure

SCRIPT = Path(__file__).with_name("convert.sh")


@dataclass(frozen=True)
class Plan:
    """How often to measure. ``shell_up_to``: the shell script takes minutes in a large tree."""

    python: str
    base: Path
    rounds: int
    idle_rounds: int
    shell_up_to: int


@dataclass
class Bulk:
    """What was measured for one size."""

    count: int
    convert: list[Took] = field(default_factory=list)
    bare: list[Took] = field(default_factory=list)
    shell: list[Took] = field(default_factory=list)
    second: list[Took] = field(default_factory=list)
    find: list[Took] = field(default_factory=list)
    start: list[Took] = field(default_factory=list)


def measure(plan: Plan, count: int) -> Bulk:
    """Measure one size; uuidfs and the bare loop take turns, each on a tree of its own."""
    result = Bulk(count)
    table = plan.base / f"{count}.table"
    tree.write_table(table, count)
    build = partial(tree.build, count=count)
    for number in range(plan.rounds):
        child.note(f"{count} domains: round {number + 1} of {plan.rounds}")
        for ours in (True, False) if number % 2 else (False, True):
            with disk.fresh(plan.base, build) as root:
                child.run(["find", str(root)])  # ext4 reads around a directory it lists first
                if ours:
                    command = child.uuidfs_command(plan.python, root, "convert", "--all")
                    result.convert.append(child.run(command))
                    _second(plan, result, root, command)
                else:
                    command = child.bare_command(plan.python, root, table)
                    result.bare.append(child.run(command))
    if count <= plan.shell_up_to:
        child.note(f"{count} domains: the shell script")
        with disk.fresh(plan.base, build) as root:
            result.shell.append(child.run(["sh", str(SCRIPT), str(root)]))
    return result


def _second(plan: Plan, result: Bulk, root: Path, command: Sequence[str]) -> None:
    """With nothing to do: uuidfs, find and a start of the interpreter take turns."""
    find = ["find", str(root)]
    start = child.import_command(plan.python)
    for warm in (command, find, start):
        child.run(warm)
    for _ in range(plan.idle_rounds):
        result.second.append(child.run(command))
        result.find.append(child.run(find))
        result.start.append(child.run(start))


def figures(results: Sequence[Bulk]) -> Iterator[Figure]:
    """The figures of all sizes, and the growth from one to the next tenfold."""
    for result in results:
        yield from _figures(result)
    for small, large in pairwise(results):
        yield from _growth(small, large)


def _growth(small: Bulk, large: Bulk) -> Iterator[Figure]:
    sizes = f"{large.count} / {small.count} domains"
    ours, before = middle(large.convert), middle(small.convert)
    # The issue limits 10,000 against 1,000; below that the interpreter's start helps.
    held = (small.count, large.count) == (1000, 10000)
    factor = f"{large.count / small.count:g} times as many domains"
    yield Figure(
        f"convert --all, {sizes}",
        ours.wall / before.wall,
        limits.GROWTH if held else None,
        detail=factor,
    )
    yield Figure("the same, CPU time only", ours.cpu / before.cpu)
    bare = middle(large.bare).wall / middle(small.bare).wall
    yield Figure(f"bare loop, {sizes}", bare, detail="what the file system does by itself")


def _figures(result: Bulk) -> Iterator[Figure]:
    size = f"{result.count} domains"
    ours, bare = middle(result.convert), middle(result.bare)
    yield Figure(
        f"{size}: convert --all / bare loop",
        ours.wall / bare.wall,
        limits.BARE,
        detail=f"{times(result.convert)} / {times(result.bare)}",
    )
    yield Figure(
        f"{size}: the same, least / least",
        min(t.wall for t in result.convert) / min(t.wall for t in result.bare),
    )
    yield Figure(
        f"{size}: the same, CPU time only",
        ours.cpu / bare.cpu,
        detail=f"{ours.cpu:.3g} s / {bare.cpu:.3g} s",
    )
    start = middle(result.start)
    yield Figure(f"{size}: the same, without the imports", (ours.wall - start.wall) / bare.wall)
    if result.shell:
        yield Figure(
            f"{size}: shell script / convert --all",
            middle(result.shell).wall / ours.wall,
            limits.SHELL,
            least=True,
            detail=f"{times(result.shell)} / {times(result.convert)}",
        )
    second, find = middle(result.second), middle(result.find)
    # The interpreter's start is longer than find in a small tree: reported, not limited.
    limit = limits.SECOND if result.count >= 10000 else None
    yield Figure(
        f"{size}: second run / find",
        second.wall / find.wall,
        limit,
        detail=f"{times(result.second)} / {times(result.find)}",
    )
    yield Figure(
        f"{size}: second run without the imports / find",
        (second.wall - start.wall) / find.wall,
        detail=f"imports: {times(result.start)}",
    )
    yield Figure(
        f"{size}: second run / find, CPU time only",
        second.cpu / find.cpu,
        detail=f"{second.cpu:.3g} s / {find.cpu:.3g} s; imports {start.cpu:.3g} s",
    )
    yield Figure(f"{size}: peak memory of convert --all, MiB", ours.peak / 2**20, limits.PEAK_MIB)
