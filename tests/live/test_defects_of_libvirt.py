"""Each reproduction in docs/libvirt-defects.md, run as it is written there, on a plain host.

It has to print what the document says on the versions that the document names, and something
else on those that it excludes. On a version that it does not mention the defect is expected:
so the day it is mended is seen.
"""

import re
from typing import NamedTuple

import pytest

from tests.live.private_host import PrivateHost
from tests.live.shell import DEFECTS, block, lines, run_lines, version

# Other tests of the default run hold these; or they take long, and uuidfs rests less on them.
LONG = ("checkpoints", "UEFI", "virtiofs", "left by", "one log", "UTF-8", "pid file", "decides")
# A defect, and how the facts of docs/libvirt-facts.md begin that its lines show, too.
FACTS = {
    "A rename loses the checkpoints": ("Checkpoints are written into snapshot/NEW",),
    "The deletion of a domain's metadata": ('"Delete the tree" follows a symlink',),
    "A domain called .. deletes": ("`.` and `..`: trees of all domains are deleted",),
    "Two domains with one UEFI": (
        "A renamed domain keeps the path of its NVRAM",
        "`undefine --nvram` of one of these two",
        "Two domains with one NVRAM path can both run",
    ),
    "A rename loses the UEFI": ("9.0 with `<os firmware='efi'>` notes no NVRAM path",),
    "The mark of autostart --once": ("`define` does not remove it: a new domain OLD",),
    "A crash within a rename": ("Killed between the last two steps",),
    "A name that is not UTF-8": ("A name that is not UTF-8 cannot start",),
    "A pid file has": ("A domain's pid file has its name with XML's escapes",),
    "A guest with virtiofs": ("After a restart of the daemon it refuses to migrate",),
}


class Defect(NamedTuple):
    """One section of the document."""

    title: str
    seen: tuple[str, ...]
    mended: tuple[str, ...]
    script: str
    printed: str
    text: str


def _versions(word: str, section: str) -> tuple[str, ...]:
    line = re.search(rf"^{word}: (.*)", section, re.MULTILINE)
    return tuple(re.findall(r"\d+\.\d+\.\d+", line[1])) if line else ()


def read() -> list[Defect]:
    """The sections that have a reproduction."""
    return [
        Defect(
            section.partition("\n")[0],
            _versions("Seen in", section),
            _versions("Not in", section),
            block("sh", section),
            block("text", section),
            section,
        )
        for section in re.split(r"^## ", DEFECTS.read_text(), flags=re.MULTILINE)[1:]
        if "```" in section
    ]


def _marks(title: str) -> list[pytest.MarkDecorator]:
    long = [pytest.mark.full] if any(word in title for word in LONG) else []
    rows = [row for start in FACTS if title.startswith(start) for row in FACTS[start]]
    return long + [pytest.mark.fact(row) for row in rows]


DEFECTS_READ = read()


@pytest.mark.parametrize(
    "defect",
    [pytest.param(each, id=each.title, marks=_marks(each.title)) for each in DEFECTS_READ],
)
def test_libvirt_does_what_the_report_says(host: PrivateHost, defect: Defect) -> None:
    there = version(host)
    done = run_lines(host, defect.script)
    if there in defect.mended:
        assert lines(done.out) != lines(defect.printed), f"it is back in {there}"
        if re.search(rf"^Not in: .*{re.escape(there)} \(older", defect.text, re.MULTILINE):
            pytest.skip(f"this libvirt is older than the fact: {there}")
        pytest.skip(f"this libvirt does not have the defect: {there}")
    assert lines(done.out) == lines(defect.printed), f"mended in {there}? {done}"
    assert done.code == 0, done


def test_every_report_says_where_it_was_seen_and_what_uuidfs_does() -> None:
    for defect in DEFECTS_READ:
        assert defect.seen, defect.title
        assert "\nSource: " in defect.text, defect.title
        assert "\nuuidfs: " in defect.text, defect.title
        assert len(defect.script.splitlines()) <= 14, defect.title
