"""libvirt behaves the same while the reconciler runs beside it, dies, and comes back."""

import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.live import guest, scripts, scripts_metadata
from tests.live.conftest import MakeHost
from tests.live.private_host import PrivateHost
from tests.live.reconciler import Killer, Reconciler
from tests.live.script import Script, Seen, Step, differences, run_script, shell, virsh, with_xml
from tests.live.test_differential import title
from tests.live.views import errors, logs

# UUIDFS_SEED=0 takes another one each time; .ci/run says the same each time.
SEED = int(os.environ.get("UUIDFS_SEED", "20261123")) or random.SystemRandom().randrange(10**9)
ROUNDS = int(os.environ.get("UUIDFS_ROUNDS", "20"))
EVERYWHERE = os.environ.get("UUIDFS_LIVE_ALL") == "1"

# As fast as virsh goes: nothing waits for the reconciler between two steps.
FAST = Script(
    "as fast as virsh goes",
    (
        scripts.define("a", 1),
        virsh("snapshot-create-as", "a", "s"),
        with_xml(guest.domain("a", 2), "define", "/dev/null"),
        shell("cat > /run/two.xml <<'EOF'\n" + guest.domain("a", 2) + "\nEOF"),
        shell("virsh domrename a b && virsh define /run/two.xml && virsh start a"),
        shell("virsh snapshot-create-as a s && virsh destroy a && virsh domrename a c"),
        shell("virsh domrename b a && virsh domrename c b && virsh start a && virsh start b"),
        shell(
            "virsh destroy a; virsh destroy b; virsh domrename a t; virsh domrename b a; "
            "virsh domrename t b"
        ),
        shell("virsh undefine a --snapshots-metadata; virsh domrename b a; virsh start a"),
        shell("virsh setmem a 12MiB --config; virsh setmem a 14MiB --config; virsh destroy a"),
        shell("virsh snapshot-create-as a t; virsh snapshot-delete a s; virsh domrename a d"),
        shell("virsh undefine d --snapshots-metadata; virsh define /run/two.xml; virsh start a"),
    ),
)

ALL = (
    FAST,
    scripts.LIFE,
    scripts.RENAME,
    scripts.SWAP,
    scripts.RENAME_WITHOUT_STOPS,
    scripts.OLD_NAME,
    scripts.UNDEFINE,
    scripts.TRANSIENT,
    scripts.LOGS,
    scripts_metadata.SNAPSHOTS,
    scripts_metadata.EXTERNAL,
    scripts_metadata.MANAGED_SAVE,
)
KILLED = ALL if EVERYWHERE else (FAST, scripts_metadata.SNAPSHOTS)


def compare(make_host: MakeHost, script: Script, *, hook: bool, seed: int | None) -> None:
    """Run the script on a plain host and on one with a reconciler, killed when there is a seed."""
    plain, other = make_host(), make_host()
    if hook:
        other.install_hook()
    with ExitStack() as stack:
        reconciler = stack.enter_context(Reconciler(other))
        with ExitStack() as killing, ThreadPoolExecutor(2) as pool:
            if seed is not None:
                killing.enter_context(Killer(reconciler, seed))
            runs = [
                pool.submit(
                    run_script, host, list(script.steps), between=lambda host: None, convert=False
                )
                for host in (plain, other)
            ]
            seen = [run.result() for run in runs]
        reconciler.settle()
        # What libvirt reads at its next start is what it had in memory.
        for on_one, one in zip(seen, (plain, other), strict=True):
            one.restart()
            on_one.extend(
                run_script(
                    one,
                    [Step("at the end", lambda host: None)],
                    between=lambda host: None,
                    convert=False,
                )
            )
            end = logs(one) if script.same_logs else {}
            on_one.append(Seen("the script", err=errors(one), files=end))
        found = differences(*seen)
        if found:
            pytest.fail(f"seed {seed}\n{found}\n{reconciler.said()}", pytrace=False)
        reconciler.settle()


@pytest.mark.parametrize("script", ALL, ids=title)
def test_libvirt_behaves_as_without_a_reconciler(
    make_host: MakeHost, uuidfs_works: None, script: Script
) -> None:
    compare(make_host, script, hook=True, seed=None)


@pytest.mark.parametrize("script", KILLED, ids=title)
def test_and_while_it_is_killed_all_the_time(
    make_host: MakeHost, uuidfs_works: None, script: Script
) -> None:
    print(f"seed {SEED}")
    compare(make_host, script, hook=True, seed=SEED)


def test_and_without_the_hook(make_host: MakeHost, uuidfs_works: None) -> None:
    compare(make_host, FAST, hook=False, seed=None)


def random_script(seed: int, rounds: int) -> Script:
    """Random commands on a few names; most succeed, some are refused, alike on both hosts."""
    chance = random.Random(seed)
    names = ("a", "b", "c")
    steps: list[Step] = [scripts.define("a", 1), scripts.define("b", 2)]

    def some() -> str:
        return chance.choice(names)

    commands: list[Callable[[], str]] = [
        lambda: f"virsh domrename {some()} {some()}",
        lambda: f"virsh domrename {some()} {some()}",
        lambda: f"virsh setmem {some()} {chance.choice((10, 12, 14))}MiB --config",
        lambda: f"virsh snapshot-create-as {some()} s{chance.randrange(3)}",
        lambda: f"virsh snapshot-delete {some()} s{chance.randrange(3)}",
        lambda: f"virsh start {some()}",
        lambda: f"virsh destroy {some()}",
        lambda: f"virsh undefine {some()} --snapshots-metadata",
        lambda: f"virsh define /run/{chance.randrange(1, 4)}{some()}.xml",
        lambda: f"virsh autostart {some()}",
    ]
    for number in (1, 2, 3):
        for name in names:
            steps.append(
                shell(f"cat > /run/{number}{name}.xml <<'EOF'\n{guest.domain(name, number)}\nEOF")
            )
    steps += [
        shell("; ".join(chance.choice(commands)() for _ in range(chance.randrange(1, 5))))
        for _ in range(rounds)
    ]
    return Script(f"random {seed}", tuple(steps))


def test_random_commands(make_host: MakeHost, uuidfs_works: None) -> None:
    print(f"seed {SEED}")
    compare(make_host, random_script(SEED, ROUNDS), hook=True, seed=None)


def test_random_commands_while_it_is_killed(make_host: MakeHost, uuidfs_works: None) -> None:
    print(f"seed {SEED}")
    compare(make_host, random_script(SEED + 1, ROUNDS), hook=True, seed=SEED)


def test_a_second_one_is_refused(host: PrivateHost, uuidfs_works: None) -> None:
    with Reconciler(host):
        again = host.uuidfs("reconcile")
        assert again.code == 1
        assert "runs already" in again.err
