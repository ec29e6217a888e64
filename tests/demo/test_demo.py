"""``make demo`` plays to its end, and shows what it promises."""

import os
import re
import sys

import pytest

from tests.live.private_host import missing
from tests.support.process import REPOSITORY, run
from tests.support.terminal import run_on_a_terminal

SHOWN = (
    "← a stranger",
    "none: it is lost",
    "formerly: web",
    "shop is gone",
    "Exit code 0: each name leads to its own domain's file.",
)


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def on_a_terminal(*words: str, **env: str) -> str:
    code, said = run_on_a_terminal([sys.executable, *words], os.environ | {"TERM": "xterm"} | env)
    assert code == 0, said
    return said.decode()


def test_it_needs_neither_root_nor_libvirt_and_fits_a_terminal_of_80_columns() -> None:
    out = on_a_terminal("-m", "tests.demo", "--imitated")
    assert "\x1b[" in out
    for text in SHOWN:
        assert text in plain(out)
    assert [line for line in plain(out).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_none(env: dict[str, str]) -> None:
    lines = "from tests.demo import stage; stage.title('Hello')"
    out = on_a_terminal("-c", lines, **env)
    assert "Hello" in out
    assert "\x1b[" not in out


@pytest.mark.full
@pytest.mark.live
def test_real_hosts_show_the_same_and_a_live_rename() -> None:
    reason = missing()
    if reason:
        pytest.skip(f"no private libvirt host here: {reason}")
    out = run("tests/demo/run", cwd=REPOSITORY).ok().out
    for text in (*SHOWN, "cannot rename active domain", "No number is missing"):
        assert text in out
    seconds = re.search(r"That took (\d+) s", out)
    assert seconds
    assert int(seconds[1]) < 60
