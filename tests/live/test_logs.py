"""A domain's log is one history under its UUID, through renames and rollovers."""

from contextlib import suppress
from itertools import count

import pytest

from tests.live import guest, scripts
from tests.live.conftest import MakeHost
from tests.live.private_host import PrivateHost
from tests.live.views import logs
from tests.support.process import wait_for

LINE = 128
LOG_SIZE = 8192
BACKUPS = 3
LOG = "/var/log/libvirt/qemu"


def define(host: PrivateHost, name: str, number: int) -> None:
    """Define a guest."""
    result = scripts.define(name, number).act(host)
    assert result
    result.ok()


def history(host: PrivateHost, name: str) -> str:
    """All rotations of a log by their name paths, oldest first: virtlogd cuts lines in two."""
    rotations = [f"{name}.log.{number}" for number in range(BACKUPS, -1, -1)]
    text = ""
    for rotation in [*rotations, f"{name}.log"]:
        with suppress(FileNotFoundError):  # not there yet, or virtlogd is just renaming it
            text += host.path(f"{LOG}/{rotation}").read_text()
    return text


def say(host: PrivateHost, name: str, text: str) -> None:
    """Let a domain's QEMU write one line, and wait until virtlogd has stored it."""
    line = f"{text:-<{LINE - 1}}\n"
    host.write_log(name, line)
    wait_for(lambda: line in history(host, name), f"{text} is in the log of {name}")


def said(host: PrivateHost, log: str) -> list[str]:
    """The lines of ``say`` in a log, by its name path."""
    text = host.path(f"{LOG}/{log}").read_text()
    return [line.rstrip("-") for line in text.splitlines() if line.startswith("say ")]


@pytest.mark.parametrize("convert", [False, True], ids=["hook alone", "with convert"])
def test_two_domains_never_share_a_log(converted: PrivateHost, convert: bool) -> None:
    host = converted

    def look() -> None:
        if convert:
            host.uuidfs("convert", "--all").ok()

    define(host, "a", 1)
    host.virsh("start", "a").ok()
    say(host, "a", "say 1 as a")
    look()
    host.virsh("destroy", "a").ok()
    host.virsh("domrename", "a", "b").ok()
    look()
    define(host, "a", 2)
    look()
    host.virsh("start", "a").ok()
    host.virsh("start", "b").ok()
    say(host, "a", "say 2 as a")
    say(host, "b", "say 1 as b")
    look()
    assert said(host, "a.log") == ["say 2 as a"]
    assert said(host, "b.log") == ["say 1 as a", "say 1 as b"]


@pytest.mark.parametrize("convert", [False, True], ids=["hook alone", "with convert"])
def test_domains_that_swap_names_take_their_logs_along(
    converted: PrivateHost, convert: bool
) -> None:
    host = converted
    for name, number in (("a", 1), ("b", 2)):
        define(host, name, number)
        host.virsh("start", name).ok()
        say(host, name, f"say {number} as {name}")
        host.virsh("destroy", name).ok()
    for old, new in (("a", "t"), ("b", "a"), ("t", "b")):
        host.virsh("domrename", old, new).ok()
    if convert:
        host.uuidfs("convert", "--all").ok()
    for name, number in (("a", 2), ("b", 1)):
        host.virsh("start", name).ok()
        say(host, name, f"say {number} as {name}")
    assert said(host, "a.log") == ["say 2 as b", "say 2 as a"]
    assert said(host, "b.log") == ["say 1 as a", "say 1 as b"]


def test_the_log_of_an_undefined_domain_stays_until_its_name_is_taken(
    converted: PrivateHost,
) -> None:
    host = converted
    define(host, "a", 1)
    host.virsh("start", "a").ok()
    say(host, "a", "say 1")
    host.virsh("destroy", "a").ok()
    host.virsh("undefine", "a").ok()
    host.uuidfs("convert", "--all").ok()
    assert said(host, "a.log") == ["say 1"]
    define(host, "a", 2)
    host.virsh("start", "a").ok()
    say(host, "a", "say 2")
    host.uuidfs("convert", "--all").ok()
    assert said(host, "a.log") == ["say 2"]
    assert said(host, f"by-uuid/{guest.uuid(1)}.log") == ["say 1"]


def roll(host: PrivateHost, name: str, numbers: "count[int]", rotations: int) -> None:
    """Make a running domain's log roll over a number of times."""
    for _ in range(rotations * LOG_SIZE // LINE + 1):
        say(host, name, f"say {next(numbers):05}")


@pytest.mark.parametrize("every", [1, 2, 5], ids=lambda every: f"{every} rollovers between looks")
def test_rotations_are_those_of_a_plain_host(
    make_host: MakeHost, uuidfs_works: None, every: int
) -> None:
    plain = make_host(log_size=LOG_SIZE, log_backups=BACKUPS)
    other = make_host(log_size=LOG_SIZE, log_backups=BACKUPS)
    other.install_hook()
    for host in (plain, other):
        numbers = count()
        define(host, "a", 1)
        host.virsh("start", "a").ok()
        for _ in range(2 if every > 1 else 5):
            roll(host, "a", numbers, every)
            if host is other:
                host.uuidfs("convert", "--all").ok()
    expected, got = logs(plain), logs(other)
    assert sorted(expected) == ["a.log", "a.log.0", "a.log.1", "a.log.2"]
    for name, text in expected.items():
        assert got.get(name) == text, name
        link = other.root / "log/qemu" / name
        assert str(link.readlink()) == f"by-uuid/{guest.uuid(1)}{name.removeprefix('a')}"
    assert sorted(got) == sorted(expected)
    other.virsh("destroy", "a", "--remove-logs").ok()
    other.uuidfs("convert", "--all").ok()
    assert logs(other) == {}
    other.uuidfs("check").ok()


def test_rotations_follow_a_rename(make_host: MakeHost, uuidfs_works: None) -> None:
    host = make_host(log_size=LOG_SIZE, log_backups=BACKUPS)
    host.install_hook()
    define(host, "a", 1)
    host.virsh("start", "a").ok()
    roll(host, "a", count(), 2)
    host.virsh("destroy", "a").ok()
    host.uuidfs("convert", "--all").ok()
    before = logs(host)
    host.virsh("domrename", "a", "b").ok()
    host.uuidfs("convert", "--all").ok()
    assert logs(host) == {f"b{name.removeprefix('a')}": text for name, text in before.items()}
    host.uuidfs("check").ok()
