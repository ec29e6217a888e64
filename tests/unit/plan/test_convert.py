"""What convert does with what it finds: notation.py has the words of these tables."""

import pytest

from tests.unit.plan.notation import LAYOUT, Found, told
from uuidfs.plan.convert import plan_convert
from uuidfs.runtime.known_checkpoints import KnownCheckpoints

CONVERTED = {"web.xml": "-> WEB.xml"}
RENAMING = (
    "the configs of 'new' and 'old' carry one UUID: libvirt is renaming the domain, or was killed "
    "in a rename; if this stays, run: uuidfs check --repair"
)
LONELY = (
    "no domain is called like its directory, and no other link leads to its file: give the "
    "directory its name back, or remove it"
)


def test_all_files_of_a_plain_domain_move_and_the_config_after_the_logs() -> None:
    found = Found(
        {
            "web.xml": "config",
            "web.log": "log",
            "snapshot/web/s1.xml": "s1",
            "checkpoint/web/c1.xml": "c1",
        }
    )
    assert told(plan_convert(LAYOUT, found.view())) == [
        "move: /log/web.log -> /log/by-uuid/WEB.log",
        "move: /etc/web.xml -> /etc/by-uuid/WEB.xml",
        "move: /snapshot/web/s1.xml -> /by-uuid/snapshot/WEB/s1.xml",
        "move: /checkpoint/web/c1.xml -> /by-uuid/checkpoint/WEB/c1.xml",
    ]


CONFIGS = [
    pytest.param(
        Found(CONVERTED, {"WEB.xml": "first"}),
        [],
        id="a converted config is left as it is",
    ),
    pytest.param(
        Found({"web.xml": "second"}, {"WEB.xml": "first"}),
        ["move over an older version: /etc/web.xml -> /etc/by-uuid/WEB.xml"],
        id="what libvirt saved over the link replaces the stored version",
    ),
    pytest.param(
        Found({"web.xml": "first"}, {"WEB.xml": "-> WEB.xml"}),
        ["move: /etc/web.xml -> /etc/by-uuid/WEB.xml"],
        id="a fold that was killed at its placeholder is done again",
    ),
    pytest.param(
        Found({}, {"WEB.xml": "first"}, name=None),
        ["trash: /etc/by-uuid/WEB.xml (undefined)"],
        id="an undefined domain's config goes to the trash",
    ),
    pytest.param(
        Found({}, {"WEB.xml": "first"}, name=None, orphan_safe=False),
        [],
        id="nothing goes to the trash while something that may refer to it is unreadable",
    ),
    pytest.param(
        Found({}, {"WEB.xml": "-> WEB.xml"}, name=None),
        ["clean up: /etc/by-uuid/WEB.xml"],
        id="a placeholder of no domain is no file, so it is removed",
    ),
    pytest.param(
        Found({"web.xml": "=> elsewhere"}),
        [
            "left alone: /etc/web.xml: "
            "a symlink that uuidfs did not make is in the place of the file"
        ],
        id="somebody else's link is left alone",
    ),
    pytest.param(
        Found({"web.xml": "a fifo"}),
        ["left alone: /etc/web.xml: a fifo is in the place of the file"],
        id="what is no file is left alone",
    ),
    pytest.param(
        Found(CONVERTED),
        ["left alone: /etc/web.xml: its file is missing from the store"],
        id="a link to nothing is told of",
    ),
    pytest.param(
        Found({"web.xml": "first"}, {"WEB.xml": "a directory"}),
        ["left alone: /etc/by-uuid/WEB.xml: a directory is in the place of the file"],
        id="nothing is moved over what is no file",
    ),
    pytest.param(
        Found(
            {"old.xml": "-> WEB.xml"},
            {"WEB.xml": "first"},
            name=None,
            rivals=("new", "old"),
            linked=("old",),
        ),
        [f"left alone: /etc/new.xml: {RENAMING}", f"left alone: /etc/old.xml: {RENAMING}"],
        id="while two names have one UUID both are left alone",
    ),
]
METADATA = [
    pytest.param(
        Found(
            {**CONVERTED, "snapshot/web/s2.xml": "-> s2.xml"},
            {"WEB.xml": "config", "snapshot/s1.xml": "s1", "snapshot/s2.xml": "s2"},
        ),
        ["trash: /by-uuid/snapshot/WEB/s1.xml (deleted by libvirt)"],
        id="a snapshot that libvirt deleted goes to the trash",
    ),
    pytest.param(
        Found(CONVERTED, {"WEB.xml": "config", "snapshot/s1.xml": "s1"}, proven=frozenset()),
        [],
        id="a snapshot stays when the directory at its name is not known to be the domain's",
    ),
    pytest.param(
        Found(CONVERTED, {"WEB.xml": "config", "snapshot/s1.xml": "s1"}),
        [
            "trash: /by-uuid/snapshot/WEB/s1.xml (deleted by libvirt)",
            "remove the empty directory: /by-uuid/snapshot/WEB",
        ],
        id="the directory goes with the last snapshot",
    ),
    pytest.param(
        Found(
            {**CONVERTED, "snapshot/web/s2.xml": "new"},
            {"WEB.xml": "config", "snapshot/s1.xml": "s1"},
        ),
        [
            "trash: /by-uuid/snapshot/WEB/s1.xml (deleted by libvirt)",
            "move: /snapshot/web/s2.xml -> /by-uuid/snapshot/WEB/s2.xml",
        ],
        id="the directory stays for the snapshot that comes",
    ),
    pytest.param(
        Found({"web.xml": "config"}, misfiled={"snapshot/web/c1.xml": "c1"}),
        [
            "refile the checkpoint: /checkpoint/web/c1.xml",
            "move: /etc/web.xml -> /etc/by-uuid/WEB.xml",
            "remember the directory: /by-uuid/checkpoint/WEB/~directory",
        ],
        id="a checkpoint that domrename wrote among the snapshots goes to the checkpoints",
    ),
    pytest.param(
        Found(
            CONVERTED,
            {"WEB.xml": "config", "checkpoint/c1.xml": "before the rename"},
            misfiled={"snapshot/web/c1.xml": "c1"},
        ),
        [
            "refile the checkpoint: /checkpoint/web/c1.xml",
            "remember the directory: /by-uuid/checkpoint/WEB/~directory",
        ],
        id="the stored version of a misfiled checkpoint is not taken for a deleted one",
    ),
    pytest.param(
        Found(
            {**CONVERTED, "snapshot/web/s1.xml": "-> s1.xml"},
            {"WEB.xml": "config", "snapshot/s1.xml": "s1"},
            strays={"snapshot/old/s1.xml": "-> s1.xml"},
        ),
        ["remove the link: /snapshot/old/s1.xml"],
        id="a second link under a name that no domain has is removed",
    ),
    pytest.param(
        Found(
            CONVERTED,
            {"WEB.xml": "config", "snapshot/s1.xml": "s1"},
            strays={"snapshot/old/s1.xml": "-> s1.xml"},
        ),
        [f"left alone: /snapshot/old/s1.xml: {LONELY}"],
        id="the only link to a snapshot stays, whatever its directory is called",
    ),
    pytest.param(
        Found(CONVERTED, {"WEB.xml": "config"}, strays={"snapshot/old/s1.xml": "-> s1.xml"}),
        ["remove the link: /snapshot/old/s1.xml"],
        id="a link to nothing under a name that no domain has is removed",
    ),
    pytest.param(
        Found({"snapshot/web/s1.xml": "s1"}, name=None),
        [],
        id="metadata of a name that no domain has is not ours to convert",
    ),
]
LEFTOVERS = [
    pytest.param(
        Found(CONVERTED, {"WEB.xml": "first"}, leftovers={"config/WEB~link": "-> WEB.xml"}),
        ["clean up: /etc/by-uuid/WEB~link"],
        id="a link that a kill left is removed",
    ),
    pytest.param(
        Found(CONVERTED, {"WEB.xml": "first"}, leftovers={"config/WEB~keep": "first"}),
        ["clean up: /etc/by-uuid/WEB~keep"],
        id="a second name that a kill left is removed",
    ),
    pytest.param(
        Found(CONVERTED, {"WEB.xml": "second"}, leftovers={"config/WEB~keep": "first"}),
        ["trash: /etc/by-uuid/WEB~keep (left over)"],
        id="the only name that a kill left of a version is kept in the trash",
    ),
    pytest.param(
        Found(CONVERTED, {"WEB.xml": "second"}, leftovers={"config/by-uuid/WEB.xml": "first"}),
        ["trash: /etc/by-uuid/by-uuid/WEB.xml (left over)"],
        id="what a kill left in the waiting room is named by its own path",
    ),
    pytest.param(
        Found({"web.xml": "first"}, {"WEB.xml": "first"}, leftovers={"config/WEB~link": "newest"}),
        [
            "give back: /etc/web.xml",
            "move over an older version: /etc/web.xml -> /etc/by-uuid/WEB.xml",
        ],
        id="what an unfold took off before a kill goes back to the name that the store shares",
    ),
    pytest.param(
        Found({"web.xml": "second"}, {"WEB.xml": "first"}, leftovers={"config/WEB~link": "old"}),
        [
            "trash: /etc/by-uuid/WEB~link (left over)",
            "move over an older version: /etc/web.xml -> /etc/by-uuid/WEB.xml",
        ],
        id="what an unfold took off is older where libvirt has written the name since",
    ),
    pytest.param(
        Found(
            {**CONVERTED, "web.log": "log"},
            {"WEB.xml": "first", "WEB.log": "log"},
            leftovers={"log/WEB~link": "after a rotation"},
        ),
        [
            "give back: /log/web.log",
            "move over an older version: /log/web.log -> /log/by-uuid/WEB.log",
        ],
        id="a log that an unfold took off goes back to its name",
    ),
]


@pytest.mark.parametrize(("found", "lines"), [*CONFIGS, *METADATA, *LEFTOVERS])
def test_convert(found: Found, lines: list[str]) -> None:
    assert told(plan_convert(LAYOUT, found.view())) == lines


MISFILED = Found(
    CONVERTED,
    {"WEB.xml": "config", "checkpoint/c1.xml": "before the rename"},
    misfiled={"snapshot/web/c1.xml": "c1"},
    strays={"checkpoint/old/c1.xml": "-> c1.xml"},
)
WRITTEN = 5


@pytest.mark.parametrize(
    ("names", "since", "line"),
    [
        ({"c1"}, WRITTEN - 1, "refile the checkpoint: /checkpoint/web/c1.xml"),
        ({"c2"}, WRITTEN - 1, "trash the deleted checkpoint: /snapshot/web/c1.xml"),
        (set(), WRITTEN, "refile the checkpoint: /checkpoint/web/c1.xml"),
    ],
    ids=["libvirt knows it", "it was deleted since", "the daemon was started since"],
)
def test_a_misfiled_checkpoint_that_a_daemon_was_asked_about(
    names: set[str], since: int, line: str
) -> None:
    view = MISFILED.view()
    pair = view.misfiled[0]
    assert pair.at_name is not None
    written = pair._replace(at_name=pair.at_name._replace(mtime=WRITTEN))
    known = KnownCheckpoints(frozenset(names), since)
    plan = plan_convert(LAYOUT, view._replace(misfiled=(written,)), known=known)
    assert told(plan)[0] == line


def test_nothing_is_done_to_a_misfiled_checkpoint_before_libvirt_was_asked() -> None:
    assert told(plan_convert(LAYOUT, MISFILED.view(), refile=False)) == []
