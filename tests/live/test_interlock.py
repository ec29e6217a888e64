"""One guest, one running copy: nobody gets a second one, however and whenever it is started."""

import json
import os
import time
from typing import Any

import pytest

from tests.live import guest
from tests.live.attack import (
    Attack,
    begun,
    ended,
    home,
    move,
    shareable,
    signal_to,
    slow_foreign_hook,
    start_counting,
)
from tests.live.migration import (
    SESSIONS,
    UUID,
    counting,
    leftovers,
    phase,
    prepare,
    processes,
    uuidfs,
)
from tests.live.private_host import PrivateHost
from tests.support.process import wait_for

FORMS: tuple[dict[str, Any], ...] = ({}, {"indent": 2}, {"separators": (",", ":")})

TRIPS = int(os.environ.get("UUIDFS_TRIPS", "3"))
STARTERS = int(os.environ.get("UUIDFS_STARTERS", "2"))


@pytest.fixture(autouse=True)
def _able(uuidfs_works: None, host: PrivateHost) -> None:
    probe = host.run("/usr/bin/python3", "-c", "import libvirt")
    assert probe.code == 0, "python3-libvirt is not installed"


def test_soak_of_trips_under_starts_without_end(host: PrivateHost) -> None:
    """QEMU's locks do not help this guest, and a slow hook gives every start time to be late."""
    prepare(host, started=False)
    shareable(host)
    slow_foreign_hook(host)
    host.reload()
    start_counting(host)
    longest, times = 0, []
    for _ in range(TRIPS):
        began = time.monotonic()
        with Attack(host, STARTERS) as attack:
            said = move(host)
        times.append(round(time.monotonic() - began, 1))
        assert said.code == 0, said
        assert attack.heard.get("hook"), "no start came while the guest was away"
        assert attack.seen["away"], "nobody looked while the guest was away"
        longest = max(longest, home(host))
    print(f"{TRIPS} trips in {times} s; largest gap {longest} ticks of 55 ms")


def test_a_daemon_that_never_heard_of_the_hook_is_found_out(host: PrivateHost) -> None:
    host.path("/run/a.xml").write_text(guest.domain("a", 1))
    host.virsh("define", "/run/a.xml").ok()
    uuidfs(host, "hook", "install").ok()
    start_counting(host)
    domains = host.virsh("list", "--all").ok().out
    for words in ((), ("--dry-run",)):
        said = move(host, *words)
        assert said.code == 1
        assert "libvirt does not call the hook" in said.err
        assert "reload" in said.err
    assert leftovers(host) == []
    assert [p.name for p in host.path("/var/log/libvirt/qemu").iterdir()] == ["a.log"]
    assert host.virsh("list", "--all").ok().out == domains
    counting(host)
    host.reload()
    move(host).ok()
    home(host)
    assert [p.name for p in host.path("/var/log/libvirt/qemu").glob("uuidfs*")] == []


def test_the_hook_fails_closed(host: PrivateHost) -> None:
    prepare(host, started=False)
    path = host.path(f"{SESSIONS}/{UUID}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    session = {"version": 1, "uuid": UUID, "name": "a", "token": "0123abcd"}
    texts = [
        "",
        "garbage",
        '{"version": 1, "phase": ',
        '{"phase": "elsewhere"}',
        '{"token": ""}',
        json.dumps({"phase": "peer", "tool": 'said "phase":"home"'}),
        json.dumps({"phase": "peer", "tool": '"token": "', "name": "a"}),
    ]
    for wanted in ("out", "peer", "back"):
        for form in FORMS:
            texts.append(json.dumps(session | {"phase": wanted}, **form))
    for text in texts:
        path.write_text(text)
        said = host.virsh("start", "a")
        assert said.code == 1, text
        assert "local-migrate --recover" in said.err, text
        assert processes(host) == []
    for wanted in ("begin", "home"):
        for form in FORMS[1:]:
            path.write_text(json.dumps(session | {"phase": wanted}, **form))
            host.virsh("start", "a").ok()
            host.virsh("destroy", "a").ok()
    path.unlink()
    start_counting(host)


def test_the_hook_stays_while_a_guest_is_away(host: PrivateHost) -> None:
    prepare(host)
    running = begun(host, "peer")
    signal_to(host, "helper", "STOP")
    assert phase(host) in {"peer", "back"}
    for _ in range(2):
        said = host.uuidfs("hook", "remove")
        assert said.code == 75, said
        assert "local migration" in said.err
    assert host.uuidfs("hook", "status").code == 0
    assert host.virsh("start", "a").code == 1
    signal_to(host, "helper", "CONT")
    assert ended(running)[0] == 0
    home(host)
    host.uuidfs("hook", "remove").ok()


def test_no_other_way_to_a_second_copy(host: PrivateHost) -> None:
    """Transient definitions, saved states, autostart; the disk has no lock that would help."""
    prepare(host, started=False)
    shareable(host)
    start_counting(host)
    host.virsh("save", "a", "/run/a.save").ok()
    host.path("/run/older.save").write_bytes(host.path("/run/a.save").read_bytes())
    host.virsh("restore", "/run/a.save").ok()
    host.virsh("autostart", "a").ok()
    host.path("/run/live.xml").write_text(host.virsh("dumpxml", "a").ok().out)
    with Attack(host):
        running = begun(host, "peer")
        signal_to(host, "helper", "STOP")
        wait_for(lambda: len(processes(host)) == 1, "the guest is in one process")
        if host.virsh("domstate", "a").out.strip() != "running":
            for words in (
                ("create", "/run/live.xml"),
                ("create", "/run/live.xml", "--paused"),
                ("restore", "/run/older.save"),
                ("restore", "/run/older.save", "--paused"),
                ("start", "a", "--force-boot"),
                ("start", "a", "--paused"),
            ):
                said = host.virsh(*words)
                assert said.code == 1, f"{words}: {said}"
                assert "local-migrate --recover" in said.err
            host.restart()  # and its autostart
        assert len(processes(host)) == 1
        counting(host)
        signal_to(host, "helper", "CONT")
        code, said_at_end = ended(running)
        if code:  # its connection is gone
            assert "local-migrate --recover" in said_at_end, said_at_end
            uuidfs(host, "local-migrate", "--recover").ok()
    home(host)
