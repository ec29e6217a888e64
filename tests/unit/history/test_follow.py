"""uuidfs log --follow loses nothing and repeats nothing, whatever becomes of the names."""

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.coarse import whole_seconds
from tests.unit.history.following import INTERRUPT, Following
from tests.unit.history.host import LogHost
from uuidfs.history.follow import PERIOD, Follower
from uuidfs.history.logs import Logs
from uuidfs.history.subject import find, names_of
from uuidfs.survey.scan import Problem


@contextmanager
def stepped(host: LogHost) -> Iterator[Iterator[bytes]]:
    """What a follower of "a" reads, one step at a time; it has no problem to tell."""
    problems: list[Problem] = []
    with Logs(host.layout) as logs:
        subject = find(logs, "a")
        chain = logs.chain(subject, names_of(logs.scan(), subject))
        with closing(Follower(logs, subject, chain, problems.append)) as follower:
            yield follower.chunks()
    assert problems == []


def test_it_follows_across_rotations_renames_and_conversions(host: LogHost) -> None:
    host.start()
    host.write(b"0\n")
    said = b"0\n"
    with Following(host, "a") as follow:
        follow.has(said)

        def write(text: bytes) -> None:
            nonlocal said
            host.write(text)
            said += text

        for number in range(1, 4):
            write(b"before rotation %d\n" % number)
            host.rotate()
            write(b"after\n")
            follow.has(said)
        for _ in range(3):  # faster than it looks
            host.rotate()
            write(b"at once\n")
        follow.has(said)
        host.convert()
        write(b"converted\n")
        follow.has(said)
        host.rename("b2")
        host.convert()
        write(b"renamed\n")
        follow.has(said)
        host.rename("b3")
        host.path().touch()  # a start without the hook
        write(b"a log of its own\n")
        follow.has(said)
        host.rotate()
        write(b"rotated")
        host.convert()
        write(b" in the middle of a line\n")
        follow.has(said)
        host.start()
        write(b"started again\n")
        follow.has(said)
        assert follow.ends(INTERRUPT) == (130, b"")


def test_it_follows_what_logrotate_copies_and_cuts(host: LogHost) -> None:
    host.start()
    host.write(b"first\n" * 100)
    with Following(host, "a", "-n", "1") as follow:
        follow.has(b"first\n")
        host.write(b"not seen yet\n")
        shutil.copy(host.stored(), host.stored(".1"))
        os.truncate(host.stored(), 0)
        host.write(b"second\n")
        follow.has(b"first\nnot seen yet\nsecond\n")
        # As long as before: the size does not tell.
        shutil.copy(host.stored(), host.stored(".2"))
        os.truncate(host.stored(), 0)
        host.write(b"second\nthird\n"[::-1])
        follow.has(b"first\nnot seen yet\nsecond\n" + b"second\nthird\n"[::-1])


def test_a_copy_that_it_sees_before_the_log_is_cut(
    host: LogHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """logrotate takes its time for a large log; the line came after the last read."""
    host.start()
    host.write(b"first\n" * 100)
    events: list[Callable[[], object]] = []
    real = Logs.signature

    def signature(self: Logs) -> tuple[int, ...]:
        if events:
            events.pop()()
        return real(self)

    def line_and_copy() -> None:
        host.write(b"not seen yet\n")
        shutil.copy(host.stored(), host.stored(".1"))

    monkeypatch.setattr(Logs, "signature", signature)
    with stepped(host) as chunks:
        while next(chunks):
            pass
        events.append(line_and_copy)
        while events:
            assert next(chunks) == b""
        os.truncate(host.stored(), 0)
        host.write(b"second\n")
        said = b"".join(itertools.islice(chunks, 10))
        assert said == b"not seen yet\nsecond\n"


def test_it_waits_for_the_first_log_and_for_a_new_inode_of_an_old_number(host: LogHost) -> None:
    with Following(host, "a") as follow:
        host.start()
        said = b""
        for number in range(6):
            host.write(b"%d\n" % number)
            said += b"%d\n" % number
            follow.has(said)
            host.path().resolve().unlink()  # its inode is free once nobody holds it
            host.start()
        assert follow.ends(INTERRUPT) == (130, b"")


def test_a_file_with_the_inode_of_the_one_before_the_last_is_a_new_one(host: LogHost) -> None:
    """A rotation while the end of the last one is read: its inode is free from then on."""

    def write(number: int) -> bytes:
        host.start()
        host.write(line := b"%d\n" % number)
        return line

    first = write(0)
    with stepped(host) as chunks:
        pieces = filter(None, itertools.islice(chunks, 100))
        assert next(pieces) == first
        for number in range(1, 9):
            host.path().resolve().unlink()
            line = write(number)
            assert next(pieces, b"never printed") == line


def test_it_goes_on_on_a_host_without_uuidfs(host: LogHost) -> None:
    host.write(b"as a\n")
    with Following(host, "a", "--grep", "as") as follow:
        follow.has(b"as a\n")
        host.write(b"nothing\nha")
        host.write(b"s begun\n")
        follow.has(b"as a\nhas begun\n")
        host.rename("c")
        host.write(b"as c\n")
        follow.has(b"as a\nhas begun\nas c\n")


def test_it_ends_in_silence_when_nobody_reads(host: LogHost) -> None:
    host.write(b"one\n")
    with Following(host, "a") as follow:
        follow.has(b"one\n")
        follow.closes()
        assert follow.ended() == (1, b"")


def test_it_sleeps_while_nothing_is_new(host: LogHost) -> None:
    host.start()
    host.write(b"one\n")
    with Following(host, "a") as follow:
        follow.has(b"one\n")
        time.sleep(2.0)  # the looks after the start
        before = follow.seconds()
        time.sleep(2.0)
        assert follow.seconds() - before < 0.5


@pytest.mark.parametrize("words", [(), ("--since", "@0")])
def test_bytes_are_followed_as_they_are(host: LogHost, words: tuple[str, ...]) -> None:
    data = b"2026-11-01 10:00:00.000+0000: \xff\x00\x1b[2J\r\n"
    host.write(data)
    with Following(host, "a", *words) as follow:
        follow.has(data)


def _copy_and_cut(host: LogHost, copies: int) -> None:
    """As logrotate does in the store, with copytruncate."""
    for number in range(copies, 0, -1):
        host.stored(f".{number}").rename(host.stored(f".{number + 1}"))
    shutil.copy(host.stored(), host.stored(".1"))
    os.truncate(host.stored(), 0)


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_several_copies_between_two_looks(host: LogHost, packed: str) -> None:
    """Nobody reads for days: a pipe is full, or somebody has stopped it."""
    host.start()
    host.write(b"0\n" * 100)
    said = b""
    with stepped(host) as chunks:
        while next(chunks):
            pass
        for number in range(1, 4):
            line = b"%d\n" % number
            host.write(line)
            said += line
            _copy_and_cut(host, number - 1)
        if packed:
            host.pack(host.stored(".3"), packed)
            host.pack(host.stored(".2"), packed)
        host.write(b"end\n")
        shutil.copy(host.stored(), host.stored(".0"))  # and about to be cut
        assert b"".join(itertools.islice(chunks, 20)) == said + b"end\n"
        os.truncate(host.stored(), 0)
        host.write(b"of all")
        assert b"".join(itertools.islice(chunks, 20)) == b"of all"


def test_a_log_that_is_cut_and_grows_within_one_tick_of_the_clock(host: LogHost) -> None:
    host.start()
    with stepped(host) as chunks:
        host.write(b"first\n" * 100)
        when = host.stored().stat()
        while next(chunks):
            pass
        shutil.copy(host.stored(), host.stored(".1"))
        host.stored().write_bytes(b"second\n" * 100)
        os.utime(host.stored(), ns=(when.st_atime_ns, when.st_mtime_ns))
        assert b"".join(itertools.islice(chunks, 10)) == b"second\n" * 100


def test_rotations_in_the_second_of_another_change_where_times_are_whole_seconds(
    tmp_path: Path,
) -> None:
    with whole_seconds(tmp_path) as mount:
        host = LogHost(mount / "host")
        host.start()
        host.write(b"0\n")
        time.sleep(1.02 - time.time() % 1)
        host.host.log_of("another").touch()
        time.sleep(0.1)
        with stepped(host) as chunks:
            said = b"".join(iter(lambda: next(chunks), b""))
            for number in (1, 2):
                host.rotate()
                host.write(b"%d\n" % number)
            for _ in range(3):
                time.sleep(PERIOD)
                said += b"".join(iter(lambda: next(chunks), b""))
        assert said == b"0\n1\n2\n"
