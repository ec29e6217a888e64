"""``local-migrate --all`` as an operation: order, failures, refusals, an end and going on."""

import json
import re
import time

import pytest

from tests.live import guest
from tests.live.attack import ended, reached, signal_to
from tests.live.memory_group import memory_group
from tests.live.migration import begin, command, counts, processes, uuidfs, went_on
from tests.live.operation import (
    freed,
    hint,
    moved,
    on_a_terminal,
    outcomes,
    pids,
    screen,
    sessions,
    start,
    stuck,
)
from tests.live.private_host import ENVIRONMENT, PrivateHost

ALL = ("local-migrate", "--all")

MIB = 1 << 20


def test_the_smallest_first_and_a_summary(ready: PrivateHost) -> None:
    start(ready, a=48, b=16, c=32)
    before = pids(ready)
    dry = uuidfs(ready, *ALL, "--dry-run", "--json").ok()
    assert outcomes(dry) == {"b": "can_move", "c": "can_move", "a": "can_move"}
    said = uuidfs(ready, *ALL).ok()
    lines = said.out.splitlines()
    assert [line[:9] for line in lines[:3]] == ["b: moved ", "c: moved ", "a: moved "]
    heads, cells = (re.split(r"  +", line) for line in lines[-2:])
    found = dict(zip(heads, cells, strict=True))
    assert (found["moved"], found["failed"], found["not begun"]) == ("3", "0", "0")
    assert re.fullmatch(r"\d+ ms", found["longest downtime"])
    assert (moved(ready, before), said.err) == ("abc", "")
    # Those that are named go as they are named, each once.
    said = uuidfs(ready, "local-migrate", "c", guest.uuid(2), "b", "--json", "--jobs", "2").ok()
    assert list(outcomes(said)) == ["c", "b"]
    summary = json.loads(said.out)["summary"]
    assert summary["stopped"] is None
    assert summary["longest_downtime"] > 0
    assert abs(summary["began"] + summary["seconds"] - time.time()) < 60


def test_it_stops_at_a_failure_and_goes_on_with_the_rest(ready: PrivateHost) -> None:
    """What is up to date is not moved again."""
    start(ready, a=16, b=32, c=48)
    before = pids(ready)
    path = stuck(ready, "b")
    said = uuidfs(ready, *ALL)
    assert said.code == 1
    assert said.out.startswith("a: moved ")
    assert re.search(rf"^uuidfs: b: .*{path}", said.err, re.MULTILINE), said.err
    assert "uuidfs: c: not begun: 1 trip has failed" in said.err
    assert said.err.splitlines()[-1].startswith("uuidfs: 1 guest not begun; to go on, run this")
    freed(ready, path)
    assert moved(ready, before) == "a"
    before = pids(ready)
    again = uuidfs(ready, *ALL, *hint(said.err), "--json").ok()
    assert outcomes(again) == {"a": "up_to_date", "b": "moved", "c": "moved"}
    assert moved(ready, before) == "bc"
    before = pids(ready)
    third = uuidfs(ready, *ALL, *hint(said.err)).ok()
    assert third.out.splitlines()[-1].split()[:2] == ["0", "3"], "counted, and not named"
    assert ": " not in third.out
    third = uuidfs(ready, "local-migrate", "b", *hint(said.err)).ok()
    assert third.out == "b: up to date\n"
    assert moved(ready, before) == ""


def test_after_two_failures_or_never(ready: PrivateHost) -> None:
    start(ready, a=16, b=32, c=48)
    before = pids(ready)
    paths = [stuck(ready, "a"), stuck(ready, "b")]
    for number, third in (("2", "not_begun"), ("0", "moved")):
        said = uuidfs(ready, *ALL, "--json", "--max-failures", number)
        assert said.code == 1
        assert outcomes(said) == {"a": "failed", "b": "failed", "c": third}
    for path in paths:
        freed(ready, path)
    assert moved(ready, before) == "c"


def test_who_cannot_move_or_is_busy_stops_nobody(ready: PrivateHost) -> None:
    start(ready, a=16, b=32, c=48)
    xml = ready.path("/run/a.xml").read_text()
    xml = xml.replace(
        "<domain ", "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' "
    )
    xml = xml.replace(
        "</domain>",
        "<qemu:commandline><qemu:env name='A' value='B'/></qemu:commandline></domain>",
    )
    ready.virsh("destroy", "a").ok()
    ready.path("/run/a.xml").write_text(xml)
    ready.virsh("define", "/run/a.xml").ok()
    ready.virsh("start", "a").ok()
    before = pids(ready)
    held = begin(ready, "lock", "b", "--", "sh", "-c", "touch /run/held; sleep 1000")
    try:
        while not ready.path("/run/held").exists():
            time.sleep(0.01)
        said = uuidfs(ready, *ALL, "--json", "--lock-timeout", "0")
        assert outcomes(said) == {"a": "refused", "b": "busy", "c": "moved"}
        assert said.code == 1
        said = uuidfs(ready, "local-migrate", "b", "c", "--json", "--lock-timeout", "0")
        assert outcomes(said) == {"b": "busy", "c": "moved"}
        assert said.code == 75
    finally:
        ready.run("pkill", "-f", "sleep 1000")
        held.communicate()
    assert moved(ready, before) == "c"


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_interrupted_then_again(ready: PrivateHost, name: str) -> None:
    start(ready, a=16, b=32, c=48)
    before = pids(ready)
    running = begin(ready, *ALL, "--bandwidth", "4")
    reached(ready, "peer", running)
    signal_to(ready, "helper", name)
    code, said = ended(running)
    assert code == 1
    assert "uuidfs: interrupted; guests that are away come home first" in said
    assert said.count("not begun: interrupted") == 2
    assert moved(ready, before) == "a"
    before = pids(ready)
    uuidfs(ready, *ALL, *hint(said), "--jobs", "2").ok()
    assert moved(ready, before) == "bc"


def test_killed_then_recovered_then_again(ready: PrivateHost) -> None:
    """The guest that is away is among all of them, and busy until somebody recovers it."""
    start(ready, a=16, b=32, c=48)
    before = pids(ready)
    began = f"@{time.time():.3f}"
    running = begin(ready, *ALL, "--bandwidth", "4")
    reached(ready, "peer", running)
    signal_to(ready, "helper", "KILL")
    ended(running)
    words = (*ALL, "--started-before", began, "--json")
    said = uuidfs(ready, *words, "--max-failures", "1", "--lock-timeout", "0")
    found = outcomes(said)
    assert sorted(found) == ["a", "b", "c"]
    assert (found["a"], found["b"], found["c"], said.code) == ("busy", "moved", "moved", 75)
    uuidfs(ready, "local-migrate", "--recover").ok()
    assert moved(ready, before) == "abc"
    assert set(outcomes(uuidfs(ready, *words).ok()).values()) == {"up_to_date"}


@pytest.mark.parametrize("name", ["INT", "KILL"])
def test_three_at_a_time_are_hit_at_once(ready: PrivateHost, name: str) -> None:
    start(ready, a=16, b=16, c=16)
    before = pids(ready)
    running = begin(ready, *ALL, "--jobs", "3", "--bandwidth", "4", "--json")
    while sessions(ready) < 3:
        assert running.poll() is None, running.communicate()
        time.sleep(0.001)
    signal_to(ready, "helper", name)
    code, said = ended(running)
    if name == "KILL":
        uuidfs(ready, "local-migrate", "--recover", "--jobs", "3").ok()
    else:
        found = json.loads(said[said.index("{") : said.rindex("}") + 1])
        stayed = [one["name"] for one in found["domains"] if one["outcome"] == "failed"]
        assert code == (1 if stayed else 0)
        assert set(moved(ready, before)) == {*"abc"} - {*stayed}
    moved(ready, before)
    for number in (1, 2, 3):
        assert len(processes(ready, guest.uuid(number))) == 1
        went_on(counts(ready, number))


def test_the_hosts_daemon_is_killed(ready: PrivateHost) -> None:
    """That is a failed trip: the others are not tried, and go on later."""
    start(ready, a=16, b=32, c=48)
    before = pids(ready)
    running = begin(ready, *ALL, "--bandwidth", "4")
    reached(ready, "out", running)
    ready.libvirtd.kill()
    ready.libvirtd.start()
    code, said = ended(running)
    assert code == 1
    assert said.count("not begun: 1 trip has failed") == 2
    ready.reconnected()
    uuidfs(ready, "local-migrate", "--recover").ok()
    uuidfs(ready, *ALL, *hint(said)).ok()
    assert {*"bc"} <= {*moved(ready, before)}
    for number in (1, 2, 3):
        went_on(counts(ready, number))


def test_a_time_that_is_none_and_one_that_nobody_is_older_than(ready: PrivateHost) -> None:
    start(ready, a=16)
    before = pids(ready)
    for text in ("yesterday", "@", "@nan", "2026-13-01", ""):
        said = uuidfs(ready, *ALL, "--started-before", text)
        assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)
    for text in ("2020-02-03", "2020-02-03T04:05:06+01:00", "@0"):
        said = uuidfs(ready, *ALL, "--started-before", text, "--json").ok()
        assert outcomes(said) == {"a": "up_to_date"}
    said = uuidfs(ready, "local-migrate", "typo", "--started-before", "@0")
    assert (said.code, "no domain 'typo'" in said.err) == (1, True)
    assert moved(ready, before) == ""


def test_they_wait_for_memory_instead_of_being_refused(ready: PrivateHost) -> None:
    """Three jobs, and room for one: all move, one after the other."""
    with memory_group(ready) as group:
        start(ready, a=64, b=64, c=64)
        before = pids(ready)
        group.limit(group.used() + 320 * MIB)
        program, env = command()
        words = group.entering(*program, *ALL, "--jobs", "3", "--json")
        said = ready.run("env", *(f"{key}={value}" for key, value in env.items()), *words).ok()
        assert set(outcomes(said).values()) == {"moved"}
        assert (moved(ready, before), group.kills()) == ("abc", 0)
        domains = json.loads(said.out)["domains"]
        whole = json.loads(said.out)["summary"]["seconds"]
        assert whole > 0.9 * sum(one["seconds"] for one in domains), "two were under way at once"
        group.limit(group.used() + 100 * MIB)
        said = ready.run("env", *(f"{key}={value}" for key, value in env.items()), *words)
        assert set(outcomes(said).values()) == {"refused"}
        assert "memory: its second process may need" in json.loads(said.out)["domains"][0]["error"]


@pytest.mark.parametrize(("columns", "rows"), [(100, 30), (30, 4), (2, 2)])
def test_a_view_of_all_trips_on_a_terminal(ready: PrivateHost, columns: int, rows: int) -> None:
    start(ready, a=16, b=16, c=16)
    before = pids(ready)
    words = (*ALL, "--jobs", "3", "--bandwidth", "4")
    code, out, drawn = on_a_terminal(ready, words, columns, rows)
    print(drawn)
    assert code == 0, drawn
    assert out.count(": moved in ") == 3
    if columns == 100:
        assert "of 3 done" in drawn
        for name in "abc":
            # A hop may be over between two looks, but hardly both of them and the beginning.
            assert re.search(rf"{name} +(begins|(out|home) +\[[#.]+\] +\d+%)", drawn)
    assert screen(drawn, columns) == [""], "the view is gone in the end"
    assert moved(ready, before) == "abc"


def test_a_terminal_that_goes_away(ready: PrivateHost) -> None:
    """As with a broken connection, but for the signal: the guests go on, and so does the output."""
    start(ready, a=16, b=16, c=16)
    before = pids(ready)
    words = (*ALL, "--bandwidth", "4", "--json")
    code, out, _ = on_a_terminal(ready, words, 80, 24, hang_up=True)
    assert (code, [one["outcome"] for one in json.loads(out)["domains"]]) == (0, ["moved"] * 3)
    assert moved(ready, before) == "abc"


@pytest.mark.parametrize(
    ("streams", "pipe", "code"), [("", "| true", "1"), (">&-", "", "0"), (">/dev/full", "", "1")]
)
def test_nobody_reads_the_output(ready: PrivateHost, streams: str, pipe: str, code: str) -> None:
    """A pipe without a reader, no output at all, a full disk: the trips go on."""
    start(ready, a=16, b=16)
    before = pids(ready)
    program, env = command()
    line = f"({' '.join([*program, *ALL])} {streams}; echo $? >/run/code) {pipe}"
    done = ready.run("sh", "-c", line, env=ENVIRONMENT | env)
    assert not done.traceback, done
    assert ready.path("/run/code").read_text() == f"{code}\n"
    assert moved(ready, before) == "ab"
    assert sessions(ready) == 0
