"""What convert does with a domain's logs: notation.py has the words of these tables.

A rotation renames links as they are, so afterwards web.log.0 links to WEB.log and web.log is a
regular file. The plan lets every name open the same file before, between and after its steps.
"""

from collections.abc import Container

import pytest

from tests.unit.plan.notation import DB, LAYOUT, Found, told
from uuidfs.plan.convert import plan_convert
from uuidfs.plan.revert import plan_revert

ROTATIONS = [
    pytest.param(
        Found({"web.log": "log", "web.log.0": "older"}),
        [
            "move: /log/web.log.0 -> /log/by-uuid/WEB.log.0",
            "move: /log/web.log -> /log/by-uuid/WEB.log",
        ],
        id="plain logs move, the oldest first",
    ),
    pytest.param(
        Found({"web.log": "-> WEB.log"}, {"WEB.log": "log"}),
        [],
        id="converted logs are left as they are",
    ),
    pytest.param(
        Found({"web.log": "new", "web.log.0": "-> WEB.log"}, {"WEB.log": "old"}),
        [
            "rename in the store: /log/by-uuid/WEB.log -> WEB.log.0",
            "point the link: /log/web.log.0 -> /log/by-uuid/WEB.log.0",
            "move over an older version: /log/web.log -> /log/by-uuid/WEB.log",
        ],
        id="after a rotation the stored file follows before the new one moves",
    ),
    pytest.param(
        Found(
            {"web.log": "new", "web.log.0": "-> WEB.log"}, {"WEB.log": "old", "WEB.log.0": "old"}
        ),
        [
            "rename in the store: /log/by-uuid/WEB.log -> WEB.log.0",
            "point the link: /log/web.log.0 -> /log/by-uuid/WEB.log.0",
            "move over an older version: /log/web.log -> /log/by-uuid/WEB.log",
        ],
        id="a file whose second name a kill left is not taken for another one",
    ),
    pytest.param(
        Found(
            {"web.log": "d", "web.log.0": "-> WEB.log", "web.log.1": "-> WEB.log.0"},
            {"WEB.log": "c", "WEB.log.0": "b", "WEB.log.1": "a"},
        ),
        [
            "trash: /log/by-uuid/WEB.log.1 (rotated away)",
            "rename in the store: /log/by-uuid/WEB.log.0 -> WEB.log.1",
            "point the link: /log/web.log.1 -> /log/by-uuid/WEB.log.1",
            "rename in the store: /log/by-uuid/WEB.log -> WEB.log.0",
            "point the link: /log/web.log.0 -> /log/by-uuid/WEB.log.0",
            "move over an older version: /log/web.log -> /log/by-uuid/WEB.log",
        ],
        id="what fell off the end goes to the trash, and the others move up from there",
    ),
    pytest.param(
        Found(
            {
                "web.log": "d",
                "web.log.0": "c",
                "web.log.1": "-> WEB.log",
                "web.log.2": "-> WEB.log.0",
            },
            {"WEB.log": "b", "WEB.log.0": "a"},
        ),
        [
            "rename in the store: /log/by-uuid/WEB.log.0 -> WEB.log.2",
            "point the link: /log/web.log.2 -> /log/by-uuid/WEB.log.2",
            "rename in the store: /log/by-uuid/WEB.log -> WEB.log.1",
            "point the link: /log/web.log.1 -> /log/by-uuid/WEB.log.1",
            "move over an older version: /log/web.log.0 -> /log/by-uuid/WEB.log.0",
            "move over an older version: /log/web.log -> /log/by-uuid/WEB.log",
        ],
        id="two rotations since the last look move everything by two",
    ),
    pytest.param(
        Found({"web.log": "-> WEB.log"}, {"WEB.log": "new", "WEB.log.1": "rotated"}),
        ["link: /log/web.log.1 -> /log/by-uuid/WEB.log.1"],
        id="what logrotate rotated in the store gets its name",
    ),
    pytest.param(
        Found({"web.log": "-> WEB.log", "web.log.3": "-> WEB.log.3"}, {"WEB.log": "log"}),
        ["remove the link: /log/web.log.3"],
        id="a rotation that logrotate removed loses its name",
    ),
    pytest.param(
        Found(
            {"web.log": "-> WEB.log.0", "web.log.0": "-> WEB.log"},
            {"WEB.log": "a", "WEB.log.0": "b"},
        ),
        [
            "left alone: /log/web.log: rotated logs point at each other",
            "left alone: /log/web.log.0: rotated logs point at each other",
        ],
        id="links in a circle are left alone",
    ),
]
OTHERS_FILES = [
    pytest.param(
        Found({"web.log": "a fifo"}),
        ["left alone: /log/web.log: a fifo is in the place of the log"],
        id="what is no file is left alone",
    ),
    pytest.param(
        Found({"web.log": "=> elsewhere"}, {"WEB.log": "log"}),
        ["left alone: /log/web.log: a symlink that uuidfs did not make is in the place of the log"],
        id="behind somebody else's link the stored log stays",
    ),
    pytest.param(
        Found({}, {"WEB.log": "log"}),
        ["trash: /log/by-uuid/WEB.log (deleted by libvirt)"],
        id="a log whose names are gone goes to the trash",
    ),
    pytest.param(
        Found({}, {"WEB.log": "log"}, name=None, away={"web.log": "-> WEB.log"}),
        [],
        id="an undefined domain's log stays, with its link",
    ),
]
RENAMES = [
    pytest.param(
        Found(
            {},
            {"WEB.log": "log", "WEB.log.0": "older"},
            name="shop",
            away={"web.log": "-> WEB.log", "web.log.0": "-> WEB.log.0"},
        ),
        [
            "link: /log/shop.log -> /log/by-uuid/WEB.log",
            "remove the link: /log/web.log",
            "link: /log/shop.log.0 -> /log/by-uuid/WEB.log.0",
            "remove the link: /log/web.log.0",
        ],
        id="after a rename each log has its new name before it loses the old one",
    ),
    pytest.param(
        Found({"shop.log": "new"}, {"WEB.log": "log"}, name="shop", away={"web.log": "-> WEB.log"}),
        [
            "rename in the store: /log/by-uuid/WEB.log -> WEB.log.0",
            "link: /log/shop.log.0 -> /log/by-uuid/WEB.log.0",
            "remove the link: /log/web.log",
            "move over an older version: /log/shop.log -> /log/by-uuid/WEB.log",
        ],
        id="where the new name has a log already the old one goes on as its rotation",
    ),
    pytest.param(
        Found(
            {"shop.log": "-> WEB.log"},
            {"WEB.log": "log"},
            name="shop",
            away={"web.log": "-> WEB.log"},
        ),
        ["remove the link: /log/web.log"],
        id="a kill between new link and old one leaves the old one to be removed",
    ),
    pytest.param(
        Found(
            {"shop.log": "new", "shop.log.0": "-> WEB.log.0"},
            {"WEB.log": "log", "WEB.log.0": "log"},
            name="shop",
            away={"web.log": "-> WEB.log"},
        ),
        [
            "remove the link: /log/web.log",
            "move over an older version: /log/shop.log -> /log/by-uuid/WEB.log",
        ],
        id="a log that got its link as a rotation before the kill does not get another one",
    ),
    pytest.param(
        Found({}, {"WEB.log": "log"}, name="shop", marked=True),
        ["link: /log/shop.log -> /log/by-uuid/WEB.log", "clean up: /log/by-uuid/WEB~moved"],
        id="a log whose link another domain took gets its domain's new name",
    ),
    pytest.param(
        Found({"shop.log": "new"}, {"WEB.log": "log"}, name="shop", marked=True),
        [
            "rename in the store: /log/by-uuid/WEB.log -> WEB.log.0",
            "link: /log/shop.log.0 -> /log/by-uuid/WEB.log.0",
            "move over an older version: /log/shop.log -> /log/by-uuid/WEB.log",
            "clean up: /log/by-uuid/WEB~moved",
        ],
        id="a log whose link was taken goes on as a rotation of the new one",
    ),
    pytest.param(
        Found({}, {"WEB.log": "log"}, name=None, marked=True),
        ["clean up: /log/by-uuid/WEB~moved"],
        id="an undefined domain needs no mark",
    ),
]


@pytest.mark.parametrize(("found", "lines"), [*ROTATIONS, *OTHERS_FILES, *RENAMES])
def test_logs(found: Found, lines: list[str]) -> None:
    assert told(plan_convert(LAYOUT, found.view())) == lines


TAKEN = {"web.log": "-> DB.log"}
TAKE_IT = "point the link: /log/web.log -> /log/by-uuid/WEB.log"
DROP_IT = "remove the link: /log/web.log"
NOTE_IT = "note that the link was taken: /log/by-uuid/DB~moved"


@pytest.mark.parametrize(
    ("found", "bound", "start", "lines"),
    [
        pytest.param(
            Found(),
            {DB},
            True,
            ["link: /log/web.log -> /log/by-uuid/WEB.log"],
            id="a start makes the link before the log is there",
        ),
        pytest.param(
            Found({"web.log": "-> WEB.log"}, {"WEB.log": "log"}),
            {DB},
            True,
            [],
            id="a start whose link is there already has nothing to do",
        ),
        pytest.param(Found(), {DB}, False, [], id="without a start no link is made"),
        pytest.param(
            Found({"web.log": "-> WEB.log"}),
            {DB},
            False,
            [],
            id="a link that waits for its log stays",
        ),
        pytest.param(
            Found(taken=TAKEN),
            {DB},
            True,
            [NOTE_IT, TAKE_IT],
            id="a start takes the link of the domain that had the name, and notes it",
        ),
        pytest.param(
            Found(taken=TAKEN),
            {DB},
            False,
            [NOTE_IT, DROP_IT],
            id="without a start that link is removed, and noted",
        ),
        pytest.param(
            Found(taken=TAKEN),
            set[str](),
            False,
            [DROP_IT],
            id="an undefined domain's link needs no note",
        ),
    ],
)
def test_the_first_log_of_a_domain_never_is_another_ones(
    found: Found, bound: Container[str], start: bool, lines: list[str]
) -> None:
    assert told(plan_convert(LAYOUT, found.view(), bound, log_link=start)) == lines


@pytest.mark.parametrize(
    ("names", "store"),
    [
        ({"web.log": "c", "web.log.0": "-> WEB.log.0"}, {"WEB.log": "a", "WEB.log.0": "a"}),
        ({"web.log": "c", "web.log.0": "a"}, {"WEB.log": "a"}),
    ],
    ids=["by a link", "by the file that a revert gives back"],
)
def test_a_log_whose_name_was_taken_before_a_kill_goes_back_first(
    names: dict[str, str], store: dict[str, str]
) -> None:
    """virtlogd had rotated once more: the file that the step was for is at web.log.1 by now."""
    found = Found({**names, "web.log.1": "-> WEB.log"}, store, leftovers={"log/WEB~link": "b"})
    for plan in (plan_convert(LAYOUT, found.view()), plan_revert(LAYOUT, found.view())):
        assert told(plan)[0] == "give back: /log/web.log.0"


def test_where_a_name_could_not_be_read_no_file_has_fallen_off_the_end() -> None:
    found = Found({"web.log": "new"}, {"WEB.log": "old"})
    assert told(plan_convert(LAYOUT, found.view()))[0].startswith("trash: ")
    [line] = told(plan_convert(LAYOUT, found.view()._replace(logs_known=False)))
    assert line.startswith("left alone: /log/web.log: no name refers to the file")
