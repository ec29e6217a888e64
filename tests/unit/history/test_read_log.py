"""uuidfs log prints all of a domain's log, once, oldest first."""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.process import REPOSITORY, run
from tests.support.trees import uuid_for
from tests.unit.history.host import PACKERS, LogHost, stamped, started

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: becomes another user")


def needs(end: str) -> None:
    if end == ".zst" and shutil.which("zstd") is None:
        pytest.skip("no zstd")


@pytest.mark.parametrize("converted", [False, True], ids=["plain host", "converted"])
def test_rotations_come_oldest_first(host: LogHost, converted: bool) -> None:
    texts = [f"line {number}\n" for number in range(5)]
    for text in texts:
        host.write(text.encode())
        host.rotate()
        if converted:
            host.convert()
    host.write(b"the last")
    assert host.log("a") == "".join(texts) + "the last"
    assert host.log(host.uuid) == host.log("a")
    assert host.log("b") == ""


@pytest.mark.parametrize("end", PACKERS)
def test_packed_rotations_are_unpacked(host: LogHost, end: str) -> None:
    needs(end)
    for number in range(3):
        host.write(f"{number}\n".encode() * 100_000)
        host.rotate()
    host.pack(host.path(".1"), end)
    host.pack(host.path(".2"), end)
    host.convert()
    assert host.log("a") == "".join(f"{number}\n" * 100_000 for number in range(3))


def test_files_with_dates_are_older_than_those_with_numbers(host: LogHost) -> None:
    for text, suffix in (
        (b"1", "-20260101"),
        (b"2", "-20260102-1767312000"),
        (b"3", "-20260103"),
        (b"4", ".10"),
        (b"5", ".9"),
        (b"6", ""),
    ):
        host.write(text, suffix)
    assert host.log("a") == "123456"


def test_time_stamps_put_a_file_right_that_lost_its_number(host: LogHost) -> None:
    host.write(stamped(3, "third"))
    host.write(stamped(1, "first"), ".4")
    host.write(stamped(2, "second") + b"of it\n", ".7")
    assert [line[-7:].strip() for line in host.log("a").splitlines()] == [
        ": first",
        "second",
        "of it",
        ": third",
    ]


def test_all_former_names_are_in_it(host: LogHost) -> None:
    said = b""
    for day, name in enumerate(("a", "c", "d e"), start=1):
        if name != host.name:
            host.rename(name)
        if day < 3:  # the third one starts without the hook, and gets a log of its own
            host.start()
        host.write(started(day, name))
        said += started(day, name)
    assert host.log("d e").encode() == said
    host.convert()
    assert host.log("d e").encode() == said
    assert host.log("c").encode() == said, "a former name"


def test_a_domain_that_is_gone_is_read_by_its_uuid_and_by_its_name(host: LogHost) -> None:
    host.write(started(1, "a"))
    host.convert()
    host.undefine()
    host.convert()
    assert host.log(host.uuid) == host.log("a") == started(1, "a").decode()
    host.path().unlink()
    assert host.log("a") == started(1, "a").decode(), "by what the log says"


def test_on_a_plain_host_a_domain_that_is_gone_is_read_by_its_name(host: LogHost) -> None:
    host.write(b"old\n", ".0")
    host.write(b"new\n")
    host.undefine()
    assert host.log("a") == "old\nnew\n"


def test_what_is_in_the_trash_belongs_to_it(host: LogHost) -> None:
    host.write(started(1, "a"))
    host.convert()
    host.path().unlink()  # virsh destroy --remove-logs
    host.convert()
    host.write(started(2, "a"))
    host.convert()
    assert host.log("a").encode() == started(1, "a") + started(2, "a")
    host.undefine()
    host.path().unlink()
    host.stored().unlink()
    host.convert()
    assert host.log(host.uuid).encode() == started(1, "a")


def test_a_former_name_of_two_domains_is_refused(host: LogHost) -> None:
    for uuid in ("a", "b"):
        host.host.log_of(uuid).write_bytes(started(1, "former"))
    host.convert()
    done = host.run("log", "former")
    assert (done.code, done.out) == (2, "")
    assert uuid_for("a") in done.err
    assert uuid_for("b") in done.err


def test_a_name_that_nobody_had_is_unknown(host: LogHost) -> None:
    host.write(started(1, "a"))
    host.convert()
    done = host.run("log", "nobody")
    assert (done.code, done.out) == (1, "")
    assert "no domain 'nobody'" in done.err


def test_since_takes_what_the_line_before_says(host: LogHost) -> None:
    host.write(b"lost beginning\n" + stamped(1, "one") + b"more of one\n" + stamped(2, "two"), ".0")
    host.write(b"more of two\n2026-11-03T10:00:00.000001Z qemu: three\n")
    whole = host.log("a")
    assert host.log("a", "--since", "2026-11-01 10:00:01Z") == whole[whole.index("2026-11-02") :]
    assert host.log("a", "--since", "2026-11-03T12:00+02:00").endswith("Z qemu: three\n")
    assert host.log("a", "--since", "@0") == whole[whole.index("2026-11-01") :]
    assert host.log("a", "--since", "100w") != ""
    assert host.run("log", "a", "--since", "soon").code == 2


def test_grep_is_of_either_case_unless_it_has_a_capital_letter(host: LogHost) -> None:
    host.write(b"an Error\nan error\nnothing\n")
    assert host.log("a", "--grep", "error$") == "an Error\nan error\n"
    assert host.log("a", "--grep", "Error") == "an Error\n"
    assert host.log("a", "-g", "(?-i:error)") == "an error\n"
    assert "regular expression" in host.run("log", "a", "--grep", "(").err


@pytest.mark.parametrize("number", [0, 1, 2, 5, 6, 7, 100])
def test_the_last_lines_are_those_of_tail(host: LogHost, number: int) -> None:
    host.write(b"1\n2\n3 beg", ".1")
    host.write(b"un\n4\n", ".0")
    host.write(b"5\n6")
    lines = ["1\n", "2\n", "3 begun\n", "4\n", "5\n", "6"]
    assert host.log("a", "--lines", str(number)) == "".join(lines[-number:] if number else [])
    even = ["2\n", "4\n", "6\n"]
    assert host.log("a", "-n", str(number), "--grep", "[246]") == "".join(
        even[-number:] if number else []
    )


def test_what_cannot_be_unpacked_is_named_and_the_rest_is_read(host: LogHost) -> None:
    host.write(b"oldest\n", ".3")
    host.write(b"no zstd\n", ".2.zst")
    whole = PACKERS[".gz"](os.urandom(100_000).hex().encode())
    host.write(whole[: len(whole) // 2], ".1.gz")
    host.write(b"\nnewest\n")
    words = [sys.executable, "-m", "uuidfs", "--root", str(host.host.root), "log", "a"]
    done = run(*words, cwd=REPOSITORY, env={**os.environ, "PATH": "/nowhere"})
    assert done.code == 1
    assert done.out.startswith("oldest\n")
    assert done.out.endswith("\nnewest\n")
    assert len(done.out) > 50_000, "half of what is cut off"
    first, second = done.err.splitlines()
    assert "a.log.2.zst: this rotation is left out" in first
    assert "a.log.1.gz: it is cut off" in second


def test_a_copy_that_logrotate_has_not_finished_with_is_left_out(host: LogHost) -> None:
    text = started(1, "a") + b"".join(stamped(2, f"{n}") for n in range(1000))
    host.write(text, ".1")
    shutil.copy(host.path(".1"), host.path(".2"))
    host.write(PACKERS[".gz"](text)[:-100], ".1.gz")
    host.write(text[:-9] + b"differs\n", ".3")
    done = host.run("log", "a")
    assert (done.code, done.out.encode()) == (1, text[:-9] + b"differs\n" + text)
    left_out = [line for line in done.err.splitlines() if "unfinished copy of" in line]
    files = {line.split(": ")[1].rpartition("/")[2] for line in left_out}
    assert files == {"a.log.2", "a.log.1.gz"}


def test_links_and_fifos_in_the_place_of_a_log_are_left_alone(
    host: LogHost, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    host.convert()
    host.write(b"mine\n")
    host.convert()
    host.path(".0").symlink_to(secret)
    os.mkfifo(host.path(".1"))
    host.stored(".5").symlink_to(secret)
    done = host.run("log", "a")
    assert (done.code, done.out) == (1, "mine\n")
    assert len(done.err.splitlines()) == 3


def test_memory_stays_small_whatever_a_line_is_like(host: LogHost) -> None:
    with host.path().open("wb") as file:
        file.truncate(256 << 20)  # one line
    words = ["log", "a", "--grep", "x", "--since", "@0"]
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (300 << 20,) * 2);"
        "from uuidfs.cli.start import main; main()"
    )
    done = run(sys.executable, "-c", code, "--root", str(host.host.root), *words, cwd=REPOSITORY)
    assert (done.code, done.out, done.err) == (0, "", "")


@root_only
def test_a_user_without_rights_gets_one_clear_line(host: LogHost) -> None:
    for suffix in ("", ".0", ".1"):
        host.write(b"x\n", suffix)
    host.host.log.chmod(0o700)
    # Who becomes nobody may not read Python's own modules any more, so they are loaded before.
    code = """
import contextlib, importlib, os, pkgutil, sys
import lxml.etree, uuidfs
from uuidfs.cli import start
for module in pkgutil.walk_packages(uuidfs.__path__, "uuidfs."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
words, sys.argv = sys.argv, ["uuidfs", "log", "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
    start.main()
print("nobody", file=sys.stderr)
os.chdir(words.pop())
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.argv = words
start.main()
"""
    for command in ("log", "history"):
        words = ["--root", ".", command, "a", str(host.host.root)]
        done = run(sys.executable, "-c", code, *words, cwd=REPOSITORY)
        assert (done.code, done.out) == (1, "")
        said = done.err.partition("nobody\n")[2]
        assert len(said.splitlines()) == 1, said
        assert "Permission denied; run as root" in said


def test_an_output_that_takes_nothing_is_one_clear_line(host: LogHost) -> None:
    host.write(b"x\n" * 100_000)
    words = [sys.executable, "-m", "uuidfs", "--root", str(host.host.root), "log", "a"]
    for end, code in ((">/dev/full", 1), (">&-", 2)):
        done = run("sh", "-c", f'exec "$@" {end}', "sh", *words, cwd=REPOSITORY)
        assert (done.code, done.out) == (code, "")
        assert len(done.err.splitlines()) == 1, done.err
        assert "standard output" in done.err


def test_json_is_an_object_a_line(host: LogHost) -> None:
    host.write(b"?\n" + stamped(1, "caf\u00e9") + b"\xff\x1b[2J\n")
    done = host.run("log", "a", "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["version"] for line in lines] == [1, 1, 1]
    assert [line["time"] for line in lines] == [None, *["2026-11-01T10:00:00.123Z"] * 2]
    assert lines[2]["line"] == "\\xff\x1b[2J"


ACTIONS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(["rotate", "convert", "rename", "start", ".gz", ".xz", ".bz2"]),
)


@given(st.lists(ACTIONS, max_size=15))
@settings(max_examples=40, deadline=None)
@example(["rotate", b"", "rename"])
@example([b"", "rotate", "rotate", ".gz"])
def test_what_was_written_comes_out_once_and_in_order(actions: list[bytes | str]) -> None:
    """No bytes of a time stamp are among them: the names alone tell the order."""
    with tempfile.TemporaryDirectory() as directory:
        host = LogHost(Path(directory) / "host")
        host.start()
        said = b""
        for number, action in enumerate(actions):
            if isinstance(action, bytes):
                host.write(action + b"%d\n" % number)
                said += action + b"%d\n" % number
            elif action == "rotate":
                host.rotate()
            elif action == "rename":
                host.convert()  # as the hook does when a domain has ended
                host.rename(f"n{number}")
                host.start()
            elif action == "start":
                host.start()
            elif action == "convert":
                host.convert()
            else:
                host.pack_oldest(action)
        assert host.read() == said
