"""After a power cut in a local migration a start puts the TPM's newest state back: killed, and
failed, at every system call."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from tests.crash.harness import WORKERS, Command, Point, copied, injected, points, report, run
from tests.support.hook import hook, hook_tools
from tests.support.trees import build, sample

pytestmark = pytest.mark.crash

NAME = "vm0000"

OLD, NEW = b"old state", b"the newest state" * 100

ERRORS = ("ENOSPC", "EIO", "EACCES")


class Cut:
    """A host after a power cut, its guest off, and a start of it."""

    def __init__(self, directory: Path) -> None:
        tree = build(directory / "cut", sample(2))
        self.template = tree.host.root
        self.bindings = tree.bindings
        self.uuid = tree.bindings[NAME]
        self._tools = hook_tools(directory / "tools")
        for place, content, when in ((self.home, OLD, 1000), (self.away, NEW, 2000)):
            path = self.template / place
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            path.chmod(0o600)
            os.utime(path, (when, when))
        aside = self.template / f"var/lib/libvirt/by-uuid/aside/{self.uuid}.json"
        aside.write_text('{"version": 1}\n')

    @property
    def home(self) -> str:
        return f"var/lib/libvirt/swtpm/{self.uuid}/tpm2/tpm2-00.permall"

    @property
    def away(self) -> str:
        return f"var/lib/libvirt/by-uuid/aside/{self.uuid}.tpm/{self.uuid}/tpm2/tpm2-00.permall"

    def command(self, root: Path) -> Command:
        return hook(root, self._tools, NAME, self.uuid)

    def wrong(self, root: Path, *, over: bool) -> list[str]:
        """What is wrong with a tree: neither state may be lost while it is the newest."""
        home = (root / self.home).read_bytes() if (root / self.home).exists() else b""
        away = (root / self.away).read_bytes() if (root / self.away).exists() else b""
        if over:
            left = [str(path) for path in (root / "var/lib/libvirt/swtpm").glob(".*")]
            left += [str(path) for path in (root / "var/lib/libvirt/by-uuid/aside").glob("*.tpm")]
            return left + ([] if home == NEW else [f"the state is {home[:20]!r}"])
        if home not in {OLD, NEW}:
            return [f"the state is {home[:20]!r}"]
        return [] if NEW in {home, away} else ["the newest state is lost"]


def test_a_kill_at_any_system_call_loses_no_state(tmp_path: Path) -> None:
    cut = Cut(tmp_path / "templates")
    chosen = found(cut, tmp_path)

    def killed_at(point: Point) -> list[str]:
        with copied(cut.template, tmp_path) as root:
            fault = f"{point.syscall}:signal=KILL:when={point.nth}"
            done = run(cut.command(root), (fault,))
            assert injected(done.trace, kill=True), point
            problems = cut.wrong(root, over=False)
            run(cut.command(root))
            return problems + cut.wrong(root, over=True)

    disturb(chosen, killed_at)


def test_an_error_of_any_system_call_loses_no_state_and_the_domain_starts(tmp_path: Path) -> None:
    cut = Cut(tmp_path / "templates")
    chosen = found(cut, tmp_path)
    errors = dict(zip(chosen, cycle(ERRORS), strict=False))

    def failed_at(point: Point) -> list[str]:
        with copied(cut.template, tmp_path) as root:
            done = run(
                cut.command(root), (f"{point.syscall}:error={errors[point]}:when={point.nth}",)
            )
            assert injected(done.trace, kill=False), point
            problems = cut.wrong(root, over=False)
            if done.code != 0:
                problems.append(f"the hook's exit code is {done.code}: {done.err}")
            run(cut.command(root))
            return problems + cut.wrong(root, over=True)

    disturb(chosen, failed_at)


def test_a_state_at_home_that_is_newer_stays(tmp_path: Path) -> None:
    cut = Cut(tmp_path / "templates")
    os.utime(cut.template / cut.home, (3000, 3000))
    with started(cut, tmp_path) as root:
        assert (root / cut.home).read_bytes() == OLD
        assert not (root / cut.away).exists()


def test_what_a_hostile_swtpm_user_has_put_there_is_neither_followed_nor_copied(
    tmp_path: Path,
) -> None:
    cut = Cut(tmp_path / "templates")
    away = (cut.template / cut.away).parent
    os.chown(away, 4711, 4711)
    os.chown(away / "tpm2-00.permall", 4711, 4711)
    (away / "link").symlink_to("/etc/shadow")
    (away / "down").symlink_to("/etc")
    os.mkfifo(away / "fifo")
    (away / "roots").write_bytes(b"of another owner")
    (away / "setuid").write_bytes(b"x")
    os.chown(away / "setuid", 4711, 4711)
    (away / "setuid").chmod(0o4755)
    (away / "deeper/and/deeper").mkdir(parents=True)
    with started(cut, tmp_path) as root:
        home = (root / cut.home).parent
        assert sorted(path.name for path in home.iterdir()) == ["setuid", "tpm2-00.permall"]
        assert (root / cut.home).read_bytes() == NEW
        assert (home / "setuid").stat().st_mode & 0o7777 == 0o644
        assert {path.stat().st_uid for path in (home, *home.iterdir())} == {4711}


def test_a_state_of_another_domain_is_left_alone(tmp_path: Path) -> None:
    cut = Cut(tmp_path / "templates")
    other = next(uuid for name, uuid in cut.bindings.items() if name != NAME)
    (cut.template / "var/lib/libvirt/by-uuid/aside" / f"{other}.tpm").mkdir()
    with started(cut, tmp_path) as root:
        assert (root / "var/lib/libvirt/by-uuid/aside" / f"{other}.tpm").is_dir()


@contextmanager
def started(cut: Cut, parent: Path) -> Iterator[Path]:
    """A host on which the domain was started."""
    with copied(cut.template, parent) as root:
        done = run(cut.command(root))
        assert (done.code, done.out) == (0, ""), done
        yield root


def found(cut: Cut, parent: Path) -> list[Point]:
    """The points of a run that is not disturbed, which has to be right by itself."""
    with copied(cut.template, parent) as root:
        run(cut.command(root))  # warms the byte code, which would be system calls else
    with copied(cut.template, parent) as root:
        done = run(cut.command(root), trace=True)
        assert cut.wrong(root, over=True) == []
        seen = points(done.trace, root)
    assert len(seen) > 20, seen
    return seen


def disturb(chosen: list[Point], hit: Callable[[Point], list[str]]) -> None:
    """Disturb a run at every point."""
    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(hit, chosen))
    failures = {str(p): wrong for p, wrong in zip(chosen, results, strict=True) if wrong}
    print(f"disturbed at {len(chosen)} points")
    if failures:
        pytest.fail(report(failures), pytrace=False)
