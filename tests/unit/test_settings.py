"""The configuration file: what it may say, and how a mistake in it is told."""

import json
import os
import re
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_save
from tests.support.process import REPOSITORY, uuidfs
from tests.support.trees import domain_xml, sample
from uuidfs import durations, settings
from uuidfs.cli.render.settings import example_lines
from uuidfs.errors import ConfigError
from uuidfs.layout.connections import embed, session, system
from uuidfs.layout.places import Kind
from uuidfs.settings import line_of
from uuidfs.settings_keys import KEYS, Configuration

EVERYTHING = """\
kinds = ["log", "config"]
firmware = "all"
lock-timeout = "2.5s"
[reconcile]
debounce = "0s"
resync = "2h"
[trash]
retention = "forever"
keep-secrets = false
[logs]
retention = "2w"
[metrics]
textfile = "/srv/a \\"b\\".prom"
"""


def write(root: Path, text: str, mode: int = 0o644) -> Path:
    path = root / "etc/uuidfs/uuidfs.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o755)
    path.write_text(text)
    path.chmod(mode)
    return path


def load(root: Path) -> Configuration:
    return settings.load(system(os.fspath(root)))


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert load(tmp_path) == Configuration(frozenset(Kind), 10.0, 0.05, 600.0, 30 * 86400.0, None)
    write(tmp_path, "")
    assert load(tmp_path) == Configuration()


def test_every_key_is_read_and_means_what_it_says(tmp_path: Path) -> None:
    write(tmp_path, EVERYTHING)
    assert load(tmp_path) == Configuration(
        frozenset({Kind.LOG, Kind.CONFIG}),
        2.5,
        0.0,
        7200.0,
        None,
        14 * 86400.0,
        '/srv/a "b".prom',
        "all",
        keep_secrets=False,
    )


def test_session_has_its_own_file_and_embed_has_none(tmp_path: Path) -> None:
    mine = settings.place(session({"HOME": "/home/x", "XDG_RUNTIME_DIR": "/run/user/1"}))
    assert mine is not None
    assert mine.path == "/home/x/.config/uuidfs"
    assert settings.place(embed("/x")) is None
    assert settings.load(embed(os.fspath(tmp_path))) == Configuration()
    host = settings.place(system())
    assert host is not None
    assert host.path == "/etc/uuidfs"


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ('\nkind = ["log"]\n', 2, "kind", "no such key"),
        ("kinds = []", 1, "kinds", "one or more of"),
        ("kinds = 'log'", 1, "kinds", "one or more of"),
        ('kinds = [\n  "log",\n  "nvram",\n]', 1, "kinds", "'nvram'"),
        ("# x\nlock-timeout = 10", 2, "lock-timeout", "not a text in quotes"),
        ('lock-timeout = "forever"', 1, "lock-timeout", "not a length of time"),
        ('lock-timeout = "-1s"', 1, "lock-timeout", "not a length of time"),
        ('[reconcile]\nresync = "1ms"', 2, "reconcile.resync", "too short"),
        ('[trash]\n\nretention = "30 days"', 3, "trash.retention", "not a length of time"),
        ('trash.retention = "x"', 1, "trash.retention", "not a length of time"),
        ('trash = { retention = "x" }', 1, "trash.retention", "not a length of time"),
        ("trash = 5", 1, "trash", "write [trash]"),
        ("\n[[logs]]\nretention = '1d'", 2, "logs", "write [logs]"),
        ('[trash]\nretention = "1d"\n["strange one"]\nx = 1', 3, "strange one", "no such key"),
        ('[logs]\nretention = "1d"\n[trash]\nretention = "soon"', 4, "trash.retention", "soon"),
        ("[trash]\nretention = \n", 2, None, ""),
        ('x = """\n', None, None, ""),
    ],
)
def test_a_mistake_is_refused_with_its_line_and_key(
    tmp_path: Path, text: str, line: int | None, key: str | None, says: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    error = caught.value
    assert error.exit_code == 2
    assert error.path == os.fspath(path)
    assert error.key == key
    assert error.line == line or line is None
    assert error.line is not None
    assert says in error.message
    done = uuidfs(tmp_path, "config", "check")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"uuidfs: {path}:{error.line}: ")
    assert done.err.count("\n") == 1


def test_a_text_that_looks_like_a_key_is_not_taken_for_one() -> None:
    text = 'a = """\n[trash]\nretention = "x"\n"""\nb = [\n"c",\n]\n[trash]\nretention = "y"\n'
    assert line_of(text, ("trash", "retention")) == 9
    assert line_of(text, ("b",)) == 5
    assert line_of(text, ("c",)) is None


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "").write_bytes(b"# one\n# \xff\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert caught.value.line == 2


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, EVERYTHING, mode)
    with pytest.raises(ConfigError, match="others may write"):
        load(tmp_path)
    done = uuidfs(tmp_path, "config", "check")
    assert done.code == 2
    assert os.fspath(path) in done.err


def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    write(tmp_path, EVERYTHING).parent.chmod(0o775)
    with pytest.raises(ConfigError, match="others may write"):
        load(tmp_path)


def test_a_symlink_and_a_fifo_are_refused_without_waiting(tmp_path: Path) -> None:
    path = write(tmp_path, EVERYTHING)
    other = path.rename(path.with_name("other.toml"))
    path.symlink_to(other.name)
    with pytest.raises(ConfigError, match="not a regular file"):
        load(tmp_path)
    path.unlink()
    os.mkfifo(path)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        load(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, EVERYTHING)
    os.chown(path, 64055, 64055)
    with pytest.raises(ConfigError, match="belongs to uid 64055"):
        load(tmp_path)


def test_check_says_nothing_about_a_good_file(tmp_path: Path) -> None:
    for text in ("", EVERYTHING):
        write(tmp_path, text)
        done = uuidfs(tmp_path, "config", "check")
        assert (done.code, done.out, done.err) == (0, "", "")


def test_show_prints_what_is_in_force_as_a_file_that_means_the_same(tmp_path: Path) -> None:
    write(tmp_path, EVERYTHING)
    shown = uuidfs(tmp_path, "config", "show").out
    assert settings.parse(shown.encode(), "shown").configuration == load(tmp_path)
    assert shown.count("# from the file") == len(KEYS)
    write(tmp_path, '[trash]\nretention = "1d"\n')
    shown = uuidfs(tmp_path, "config", "show").out
    assert 'retention = "1d"  # from the file' in shown
    assert shown.count("# default") == len(KEYS) - 1


def test_show_as_json_has_seconds_and_says_what_is_the_default(tmp_path: Path) -> None:
    write(tmp_path, '[trash]\nretention = "1d"\n')
    shown = json.loads(uuidfs(tmp_path, "config", "show", "--json").out)
    assert shown["version"] == 1
    assert shown["keys"]["trash.retention"] == {"value": "1d", "seconds": 86400, "default": False}
    assert shown["keys"]["logs.retention"] == {"value": "forever", "seconds": None, "default": True}
    assert shown["keys"]["kinds"]["value"] == ["config", "log", "snapshot", "checkpoint"]


def test_the_example_file_has_every_key_with_its_real_default() -> None:
    text = (REPOSITORY / "packaging/uuidfs.toml").read_text()
    assert tomllib.loads(text) == {}, "something is in force"
    used = re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)
    loaded = settings.parse(used.encode(), "example")
    assert loaded.configuration == Configuration()
    assert loaded.given == set(Configuration._fields)
    assert text.splitlines() == example_lines()


def test_every_key_is_documented_with_its_real_default() -> None:
    text = (REPOSITORY / "docs/configuration.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", text, re.MULTILINE))
    assert rows == {key.dotted: key.write(getattr(Configuration(), key.attribute)) for key in KEYS}


@pytest.mark.parametrize(
    "seconds",
    [
        0.0,
        0.001,
        0.05,
        0.0005,
        1.5,
        10.0,
        90.0,
        600.0,
        86400.0,
        14 * 86400.0,
        30 * 86400.0,
        999_999_999.0,
        None,
    ],
)
def test_a_length_of_time_is_written_as_it_is_read(seconds: float | None) -> None:
    assert durations.parse_or_forever(durations.words(seconds)) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "5", "5x", "s", "1e3s", "٣s", "5s ", "5 min 2 s", "-5s", "infs", "9999999999s", "forever"],
)
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a length of time"):
        durations.parse(text)


def test_commands_follow_the_configuration(make_tree: Build) -> None:
    tree = make_tree(*sample(1))
    root = tree.host.root
    file = root / "etc/uuidfs/uuidfs.toml"
    file.parent.mkdir()
    file.write_text('kinds = ["config"]\nlock-timeout = "0s"\n')
    for words in (("convert", "--all"), ("convert", "--all", "--json")):  # both ways in
        assert uuidfs(root, *words).code == 0
        assert tree.host.config_of("vm0000").is_symlink()
        assert not tree.host.log_of("vm0000").is_symlink()
    uuid = tree.bindings["vm0000"]
    libvirt_save(tree.host.config_of("vm0000"), domain_xml("vm0000", uuid, "new"))
    lock = root / f"run/uuidfs/lock/{uuid}.lock"
    with subprocess.Popen(
        ["flock", lock, "sh", "-c", "echo held; sleep 600"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        said = uuidfs(root, "convert", "vm0000")
        os.killpg(holder.pid, signal.SIGKILL)
    assert said.code == 75
    assert "waited 0 s" in said.err
    file.write_text("kinds = 7\n")
    for words in (("convert", "--all"), ("revert", "--all")):
        said = uuidfs(root, *words)
        assert said.code == 2
        assert "uuidfs.toml:1: kinds" in said.err
