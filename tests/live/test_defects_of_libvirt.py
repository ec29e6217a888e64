"""Each reproduction in docs/libvirt-defects.md, run as it is written there, on a plain host.

It has to print what the document says on the versions that the document names, and something
else on those that it excludes. On a version that it does not mention the defect is expected:
so the day it is mended is seen.
"""

import re
from typing import NamedTuple

import pytest

from tests.live.private_host import DAEMON, ENVIRONMENT, PROGRAM, PrivateHost
from tests.support.process import REPOSITORY

DOCUMENT = REPOSITORY / "docs/libvirt-defects.md"
# A private host has no systemd. As with that, `start` returns when the daemon answers.
SYSTEMCTL = f"""\
#!/bin/sh
end() {{
    pid=$(cat /run/{DAEMON}.pid)
    kill -s "$1" "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
}}
begin() {{ {PROGRAM} --daemon --pid-file /run/{DAEMON}.pid; }}
case $1 in
    stop) end TERM ;;
    start) begin ;;
    restart) end TERM && begin ;;
    *) exit 1 ;;
esac
"""
# Other tests of the default run hold these, as what uuidfs is about; or they wait for long.
LONG = ("checkpoints", "UEFI", "ends while", "virtiofs", "left by", "one log")


class Defect(NamedTuple):
    """One section of the document."""

    title: str
    seen: tuple[str, ...]
    mended: tuple[str, ...]
    script: str
    printed: str


def _versions(word: str, section: str) -> tuple[str, ...]:
    line = re.search(rf"^{word}: ([^|\n]*)", section, re.MULTILINE)
    return tuple(re.findall(r"\d+\.\d+\.\d+", line[1])) if line else ()


def _block(language: str, section: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"one block of {language} in: {section[:60]}"
    return str(found[0])


def read() -> tuple[str, list[Defect]]:
    """What each reproduction begins with, and the defects."""
    first, *sections = re.split(r"^## ", DOCUMENT.read_text(), flags=re.MULTILINE)
    return _block("sh", first), [
        Defect(
            section.partition("\n")[0],
            _versions("Seen in", section),
            _versions("Not in", section),
            _block("sh", section),
            _block("text", section),
        )
        for section in sections
        if "```" in section
    ]


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


PREAMBLE, DEFECTS = read()


@pytest.mark.parametrize(
    "defect",
    [
        pytest.param(
            defect,
            id=defect.title,
            marks=[pytest.mark.full] if any(word in defect.title for word in LONG) else [],
        )
        for defect in DEFECTS
    ],
)
def test_libvirt_does_what_the_report_says(host: PrivateHost, defect: Defect) -> None:
    bin_ = host.path("/run/bin")
    bin_.mkdir()
    (bin_ / "systemctl").write_text(SYSTEMCTL)
    (bin_ / "systemctl").chmod(0o755)
    version = host.run(PROGRAM, "--version").ok().out.split()[-1]
    done = host.run(
        "bash",
        "-euc",
        PREAMBLE + defect.script,
        env={"PATH": f"/run/bin:{ENVIRONMENT['PATH']}", "TMPDIR": "/var/lib/libvirt/images"},
    )
    if version in defect.mended:
        assert _lines(done.out) != _lines(defect.printed), f"it is back in {version}"
    else:
        assert _lines(done.out) == _lines(defect.printed), f"mended in {version}? {done}"
        assert done.code == 0, done


def test_every_report_says_where_it_was_seen_and_what_uuidfs_does() -> None:
    for defect in DEFECTS:
        assert defect.seen, defect.title
        section = DOCUMENT.read_text().partition(f"## {defect.title}\n")[2].partition("\n## ")[0]
        assert "\nSource: " in section, defect.title
        assert "\nuuidfs: " in section, defect.title
        assert len(defect.script.splitlines()) <= 12, defect.title
