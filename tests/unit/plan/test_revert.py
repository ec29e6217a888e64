"""What revert does with what it finds: notation.py has the words of these tables."""

import pytest

from tests.unit.plan.notation import LAYOUT, Found, told
from uuidfs.plan.revert import plan_revert

CONVERTED = {"web.xml": "-> WEB.xml"}
RENAMING = (
    "the configs of 'new' and 'old' carry one UUID: libvirt is renaming the domain, or was killed "
    "in a rename; if this stays, run: uuidfs check --repair"
)


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        pytest.param(
            Found({"web.xml": "config", "web.log": "log", "snapshot/web/s1.xml": "s1"}),
            [],
            id="a plain domain is left as it is",
        ),
        pytest.param(
            Found(
                {
                    "web.xml": "-> WEB.xml",
                    "web.log": "-> WEB.log",
                    "snapshot/web/s1.xml": "-> s1.xml",
                    "checkpoint/web/c1.xml": "-> c1.xml",
                },
                {
                    "WEB.xml": "config",
                    "WEB.log": "log",
                    "snapshot/s1.xml": "s1",
                    "checkpoint/c1.xml": "c1",
                },
            ),
            [
                "move back: /etc/by-uuid/WEB.xml -> /etc/web.xml",
                "move back: /by-uuid/snapshot/WEB/s1.xml -> /snapshot/web/s1.xml",
                "move back: /by-uuid/checkpoint/WEB/c1.xml -> /checkpoint/web/c1.xml",
                "move back: /log/by-uuid/WEB.log -> /log/web.log",
                "remove the empty directory: /by-uuid/snapshot/WEB",
                "remove the empty directory: /by-uuid/checkpoint/WEB",
            ],
            id="all files of a converted domain move back, then the directories go",
        ),
        pytest.param(
            Found({"web.xml": "second"}, {"WEB.xml": "first"}),
            ["clean up: /etc/by-uuid/WEB.xml"],
            id="what libvirt saved since stays, and the older version goes",
        ),
        pytest.param(
            Found(
                {"web.xml": "-> WEB.xml"},
                {"WEB.xml": "config", "snapshot/s1.xml": "s1"},
                proven=frozenset(),
            ),
            [
                "move back: /etc/by-uuid/WEB.xml -> /etc/web.xml",
                "left alone: /by-uuid/snapshot/WEB/s1.xml: no name refers to it, but the domain's "
                "directory is not there, or is another one: put that back, or move this file away "
                "where libvirt has no such snapshot",
            ],
            id="a snapshot stays in the store when its directory was moved away",
        ),
        pytest.param(
            Found({"web.xml": "first"}, {"WEB.xml": "-> WEB.xml"}),
            ["clean up: /etc/by-uuid/WEB.xml"],
            id="the placeholder of a killed fold goes",
        ),
        pytest.param(
            Found({}, {"WEB.xml": "config", "WEB.log": "log"}, name=None),
            [
                "trash: /etc/by-uuid/WEB.xml (no name refers to it)",
                "trash: /log/by-uuid/WEB.log (no name refers to it)",
            ],
            id="what has no name goes to the trash, never away",
        ),
        pytest.param(
            Found({}, {"WEB.log": "log"}, name=None, away={"gone.log": "-> WEB.log"}),
            ["move back: /log/by-uuid/WEB.log -> /log/gone.log"],
            id="an undefined domain's log goes back to the name that it had",
        ),
        pytest.param(
            Found({"web.xml": "config", "web.log": "log"}, {"WEB.log": "log"}),
            ["clean up: /log/by-uuid/WEB.log"],
            id="a log that a killed revert left under both names loses the one in the store",
        ),
        pytest.param(
            Found({"web.log": "new", "web.log.0": "-> WEB.log"}, {"WEB.log": "old"}),
            ["move back: /log/by-uuid/WEB.log -> /log/web.log.0"],
            id="a log that was rotated since goes where its link is now",
        ),
        pytest.param(
            Found({"web.log": "-> WEB.log"}),
            ["remove the link: /log/web.log"],
            id="the link that was made for a start without a log goes",
        ),
        pytest.param(
            Found({"web.log": "=> elsewhere"}),
            [],
            id="somebody else's link at a log's name is left as it is",
        ),
        pytest.param(
            Found({"web.xml": "=> elsewhere"}),
            ["left alone: /etc/web.xml: a symlink that uuidfs did not make"],
            id="somebody else's link is left alone",
        ),
        pytest.param(
            Found(CONVERTED),
            ["left alone: /etc/web.xml: its file is missing from the store"],
            id="a link to nothing is told of",
        ),
        pytest.param(
            Found(
                {"old.xml": "-> WEB.xml"},
                {"WEB.xml": "config"},
                name=None,
                rivals=("new", "old"),
                linked=("old",),
            ),
            ["move back: /etc/by-uuid/WEB.xml -> /etc/old.xml"],
            id="of two names with one UUID the one with the link gets the file",
        ),
        pytest.param(
            Found(
                {"old.xml": "-> WEB.xml"},
                {"WEB.xml": "config"},
                name=None,
                rivals=("new", "old"),
                linked=("new", "old"),
            ),
            [f"left alone: /etc/new.xml: {RENAMING}", f"left alone: /etc/old.xml: {RENAMING}"],
            id="of two links to one config neither gets the file by a guess",
        ),
        pytest.param(
            Found(
                CONVERTED,
                {"WEB.xml": "config", "snapshot/s1.xml": "s1"},
                strays={"snapshot/old/s1.xml": "-> s1.xml"},
            ),
            [
                "move back: /etc/by-uuid/WEB.xml -> /etc/web.xml",
                "move back: /by-uuid/snapshot/WEB/s1.xml -> /snapshot/old/s1.xml",
                "remove the empty directory: /by-uuid/snapshot/WEB",
            ],
            id="a snapshot goes back to the only directory that links to it",
        ),
        pytest.param(
            Found(CONVERTED, {"WEB.xml": "config"}, marked=True),
            [
                "move back: /etc/by-uuid/WEB.xml -> /etc/web.xml",
                "clean up: /log/by-uuid/WEB~moved",
            ],
            id="the mark of a taken link goes",
        ),
        pytest.param(
            Found(CONVERTED, {"WEB.xml": "second"}, leftovers={"config/WEB~keep": "first"}),
            [
                "trash: /etc/by-uuid/WEB~keep (left over)",
                "move back: /etc/by-uuid/WEB.xml -> /etc/web.xml",
            ],
            id="the only name that a kill left of a version is kept in the trash",
        ),
    ],
)
def test_revert(found: Found, lines: list[str]) -> None:
    assert told(plan_revert(LAYOUT, found.view())) == lines
