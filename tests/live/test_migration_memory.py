"""A trip needs the guest's memory twice: where that is not there, the guest stays as it is."""

import re
from collections.abc import Iterator

import pytest

from tests.live import guest
from tests.live.memory_group import MemoryGroup, memory_group
from tests.live.migration import (
    at_home,
    command,
    counts,
    prepare,
    processes,
    uuidfs,
    went_on,
)
from tests.live.planned import HOME, before, gives, killed, uuidfs_at
from tests.live.private_host import PrivateHost
from tests.support.process import Done, wait_for

MIB = 1 << 20

SIZE = 128  # MiB of the guest, all of which it has from the start

KILLED = -9

ROOM = 100  # MiB beside it: enough for the helper and the peer daemon, too little for a second one


@pytest.fixture
def group(ready: PrivateHost) -> Iterator[MemoryGroup]:
    """A group with a guest that has all of its memory."""
    with memory_group(ready) as found:
        xml = guest.domain("a", 1, memory=SIZE).replace(
            "<os>", "<memoryBacking><allocation mode='immediate'/></memoryBacking><os>"
        )
        ready.path("/run/a.xml").write_text(xml)
        ready.virsh("define", "/run/a.xml").ok()
        uuidfs(ready, "convert", "--all").ok()
        ready.virsh("start", "a").ok()
        wait_for(lambda: counts(ready), "the guest counts")
        yield found


def in_group(host: PrivateHost, group: MemoryGroup, *words: str) -> Done:
    """Run uuidfs in the group."""
    program, env = command()
    return host.run(*group.entering(*program, *words), env=env)


def order(host: PrivateHost, name: str = "a") -> int:
    """The guest's place in the OOM killer's order."""
    return int(host.path(f"/proc/{host.qemu_pid(name)}/oom_score_adj").read_text())


def last_but(host: PrivateHost, number: int) -> None:
    """Give the guest another place, as an administrator does."""
    host.path(f"/proc/{host.qemu_pid('a')}/oom_score_adj").write_text(str(number))


def test_refused_with_both_figures(host: PrivateHost, group: MemoryGroup) -> None:
    pid = host.qemu_pid("a")
    group.limit(group.used() + ROOM * MIB)
    said = in_group(host, group, "local-migrate", "a")
    assert said.code == 1, said
    found = re.search(
        r"memory: its second process may need (\d+) MiB, and the control group (\S+) has (\d+) MiB",
        said.err,
    )
    assert found, said.err
    assert SIZE <= int(found[1]) <= 3 * SIZE
    assert found[2] == str(group.path)
    assert 0 <= int(found[3]) <= ROOM
    assert (host.qemu_pid("a"), group.kills()) == (pid, 0)
    at_home(host)
    group.limit(-1)
    in_group(host, group, "local-migrate", "a").ok()
    assert host.qemu_pid("a") != pid


def too_late(host: PrivateHost, group: MemoryGroup) -> Done:
    """A trip without the preflight's look at memory, in a group that has too little."""
    group.limit(group.used() + ROOM * MIB)
    done = uuidfs_at(host, [gives("memory.shortages", [])], "local-migrate", "a", group=group)
    group.limit(-1)
    return done


@pytest.mark.parametrize("time", range(5))
def test_the_incoming_process_is_what_the_oom_killer_takes(
    host: PrivateHost, group: MemoryGroup, time: int
) -> None:
    pid = host.qemu_pid("a")
    last_but(host, 123)
    said = too_late(host, group)
    assert group.kills() >= 1, said
    assert said.code == 1, said
    assert processes(host) == [pid], f"the guest is not in its old process: {said}"
    assert order(host) == 123
    at_home(host)
    went_on(counts(host))


def test_the_same_on_the_way_home(host: PrivateHost, group: MemoryGroup) -> None:
    """The guest stays in the peer; the way home is tried again, and there is memory by then."""
    last_but(host, 123)
    more = group.at_most_more(ROOM * MIB)
    plan = [before("hop.move", more, HOME), before("hop.move", group.no_limit(), HOME + 2)]
    said = uuidfs_at(host, plan, "local-migrate", "a", group=group).ok()
    assert "driver: " in said.err
    assert group.kills() >= 2
    assert order(host) == 123
    at_home(host)
    went_on(counts(host))


@pytest.mark.parametrize("at", [("watch.Watch.look", 3), ("hop.unmark", 1), ("hop.unmark", 2)])
def test_its_place_in_the_oom_killers_order(host: PrivateHost, at: tuple[str, int]) -> None:
    """As before after a trip, and after a recovery, wherever the helper was killed."""
    prepare(host)
    last_but(host, 123)
    uuidfs(host, "local-migrate", "a").ok()
    assert order(host) == 123
    assert uuidfs_at(host, [killed(*at)], "local-migrate", "a").code == KILLED
    uuidfs(host, "local-migrate", "--recover").ok()
    assert order(host) == 123
    at_home(host)
    went_on(counts(host))
