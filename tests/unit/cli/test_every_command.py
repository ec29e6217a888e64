"""What every command does whose output nobody takes, and for a user without rights."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forkserver import CLOSED, FULL, NOBODY, ForkServer
from tests.support.process import run, uuidfs
from tests.support.trees import Domain, build, status_xml, uuid_for
from tests.unit.cli.test_man import COMMANDS
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.layout.connections import system

# Words that give each command something to do, or to say; `rename` and so on need a daemon, and
# none is here.
WORDS = {
    "convert": ("convert", "db", "--dry-run"),
    "revert": ("revert", "web", "--dry-run"),
    "status": ("status",),
    "check": ("check",),
    "path": ("path", "web"),
    "log": ("log", "web"),
    "history": ("history", "web"),
    "hook install": ("hook", "install"),
    "hook remove": ("hook", "remove"),
    "hook status": ("hook", "status"),
    "trash list": ("trash", "list"),
    "trash show": ("trash", "show", "0"),
    "trash restore": ("trash", "restore", "0"),
    "trash empty": ("trash", "empty", "--dry-run"),
    "undelete": ("undelete",),
    "config show": ("config", "show"),
    "config check": ("config", "check"),
    "systemd install": ("systemd", "install"),
    "systemd remove": ("systemd", "remove"),
    "systemd status": ("systemd", "status"),
    "reconcile": ("reconcile", "--once"),
    "outdated": ("outdated",),
    "local-migrate": ("local-migrate", "--all"),
    "rename": ("rename", "web", "web2"),
    "lock": ("lock", "web", "--", "true"),
    "session begin": ("session", "begin", "web"),
    "session phase": ("session", "phase", "web", "out"),
    "session end": ("session", "end", "web"),
    "session list": ("session", "list"),
}

# The host has none of these files, or everybody may read them: the truth needs no rights.
FOR_EVERYBODY = {"config show", "config check", "hook status", "systemd status"}

SAY_SOMETHING = {
    *(
        "--help",
        "--version",
        "status",
        "check",
        "path",
        "log",
        "history",
        "hook status",
        "undelete",
    ),
    *("trash list", "config show", "systemd status", "convert", "revert"),
}

# What somebody who may not look must not be told.
FALSE = ("not running", "does not run", "no domain", "no guest", "backup", "nothing", "is empty")


def test_every_command_is_tried() -> None:
    assert set(WORDS) == set(COMMANDS)


def host(root: Path) -> None:
    """A converted domain and a plain one, one that runs, and an undefined one in the trash."""
    names = ("web", "db", "gone")
    tree = build(root, [Domain(name, uuid_for(name), snapshots=("s1",)) for name in names])
    layout = system(os.fspath(root))
    convert(layout, Options(("web", "gone")))
    tree.host.config_of("gone").unlink()
    convert(layout, Options((uuid_for("gone"),)))
    status = tree.host.status / "web.xml"
    status.write_bytes(status_xml("web", uuid_for("web")))
    status.chmod(0o600)
    (root / "run/uuidfs").mkdir(exist_ok=True)


class Commands:
    """Runs uuidfs: of one tree by --root, and where root can, of another one as the host's own."""

    def __init__(self, server: ForkServer, tree: Path, own: Path | None) -> None:
        self.run = server.run
        self.tree = tree
        self.own = own


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    base = tmp_path_factory.mktemp("commands")
    host(base / "tree")
    words: tuple[str, ...] = ()
    own: Path | None = None
    if os.geteuid() == 0 and run("unshare", "--mount", "true").code == 0:
        own = base / "own"
        host(own)
        script = "; ".join(
            f"mkdir -p /{top}/{name}; mount --bind {own}/{top}/{name} /{top}/{name}"
            for top in ("etc", "var/log", "var/lib", "run")
            for name in ("libvirt", "uuidfs")
            if (own / top / name).is_dir()
        )
        words = ("unshare", "--mount", "sh", "-ec", f'{script}; exec "$@"', "sh")
    with ForkServer(base / "said", *words) as server:
        yield Commands(server, base / "tree", own)


@pytest.mark.parametrize("out", [FULL, CLOSED])
@pytest.mark.parametrize("name", [*COMMANDS, "--help", "--version"])
def test_an_output_that_takes_nothing_ends_in_one_line_or_in_silence(
    commands: Commands, name: str, out: str
) -> None:
    words = ("--root", os.fspath(commands.tree), *WORDS.get(name, (name,)))
    done = commands.run(*words, out=out)
    assert not done.traceback, done
    assert "Exception ignored" not in done.err
    assert "Errno" not in done.err
    lines = [line for line in done.err.splitlines() if "the journal was not read" not in line]
    assert len(lines) <= 1, done
    if name in SAY_SOMETHING:
        said = "uuidfs: cannot write to standard output: No space left on device; free some space"
        assert done.code == 1
        assert lines == ([] if out == CLOSED else [f"{said} and run again"])
    else:
        assert done.code in {0, 1, 2, 75}


@pytest.mark.parametrize(
    "mode",
    [pytest.param(0o700, marks=pytest.mark.full, id="fedora"), pytest.param(0o755, id="debian")],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_user_without_rights_is_told_to_be_root_and_nothing_that_is_not_so(
    commands: Commands, name: str, mode: int
) -> None:
    if commands.own is None:
        pytest.skip("needs root: becomes another user, in a mount namespace")
    (commands.own / "etc/libvirt/qemu").chmod(mode)
    done = commands.run(*WORDS[name], user=NOBODY)
    assert not done.traceback, done
    said = done.out + done.err
    if name in FOR_EVERYBODY or said == "":
        assert name in FOR_EVERYBODY | {"hook remove", "systemd remove"}  # there is none to remove
        return
    assert done.code == 1, done
    assert "run as root" in done.err, done
    assert len(done.err.splitlines()) == 1, done
    for word in FALSE:
        assert word not in said, done


def test_a_fork_says_what_the_program_says(commands: Commands) -> None:
    forked = commands.run("--root", os.fspath(commands.tree), "check")
    plain = uuidfs(commands.tree, "check")
    assert (forked.code, forked.out, forked.err) == (plain.code, plain.out, plain.err)
