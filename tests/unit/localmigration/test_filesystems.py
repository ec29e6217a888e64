"""Which shared directories can move: what their virtiofsd was started with, and what they are."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import REPOSITORY
from uuidfs.localmigration import file_handles, look_at_host, peer_shares, shares
from uuidfs.localmigration.devices import HostFacts, filesystems, obstacles, obstacles_meanwhile
from uuidfs.localmigration.devices.facts import Share, from_text, to_text
from uuidfs.localmigration.domain_xml import parse
from uuidfs.localmigration.peer_inside import OVER

GOOD = ("virtiofsd", *filesystems.GIVEN)


def xml(source: str = "dir='/srv'", name: str = "fs0", binary: str = "/b", tag: str = "t") -> str:
    alias = f"<alias name='{name}'/>" if name else ""
    return (
        "<domain type='kvm' id='7'><devices><filesystem type='mount'><driver type='virtiofs'/>"
        f"<binary path='{binary}'/><source {source}/><target dir='{tag}'/>{alias}"
        "</filesystem></devices></domain>"
    )


def facts(*words: str, why: str | None = None) -> HostFacts:
    return HostFacts(shares={"fs0": Share(words, why)})


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (GOOD, None),
        (
            ("virtiofsd", "--modcaps", "+dac_read_search:-chown", "--migration-mode", GOOD[1][17:]),
            None,
        ),
        (("virtiofsd",), "by paths"),
        (GOOD[:2], "by paths"),
        ((*GOOD[:2], "--modcaps=-dac_read_search"), "by paths"),
        (("virtiofsd", "--migration-mode=find-paths", GOOD[2]), "by paths"),
        (("virtiofsd", "--migration-verify-handles", GOOD[2]), "by paths"),
        ((*GOOD, "--migration-on-error=guest-error"), "may lose files"),
        ((*GOOD, "--migration-on-error", "abort"), None),
        ((*GOOD, "--uid-map", ":0:100000:65536:"), "user namespace"),
    ],
)
def test_what_its_virtiofsd_was_started_with_decides(
    words: tuple[str, ...], reason: str | None
) -> None:
    found = obstacles(parse(xml()), facts(*words))
    assert len(found) == (0 if reason is None else 1)
    assert all(one.startswith("filesystem fs0: ") and (reason or "") in one for one in found)


def test_one_whose_virtiofsd_is_not_ours_or_not_there() -> None:
    assert "has ended" in obstacles(parse(xml()), HostFacts())[0]
    assert "somebody else's" in obstacles(parse(xml("socket='/s'")), facts(*GOOD))[0]
    assert obstacles(parse(xml()), facts(*GOOD, why="because")) == ["filesystem fs0: because"]


def test_one_that_was_plugged_in_meanwhile() -> None:
    live, known = parse(xml()), facts(*GOOD)
    assert obstacles_meanwhile(parse(xml(name="")), live, known) == []
    for changed in (
        xml("dir='/other'", name=""),
        xml(binary="/usr/libexec/virtiofsd", name=""),
        xml(tag="other", name=""),
    ):
        assert "a moment ago" in obstacles_meanwhile(parse(changed), live, known)[0]


def test_the_facts_are_the_same_when_they_were_written_and_read() -> None:
    known = facts(*GOOD, "--shared-dir", "/a b", why=None)
    assert from_text(to_text(known)) == known


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[object]:
    """Starts a process that holds a pid file, as libvirt's virtiofsd does."""
    holds = (
        "import fcntl, os, sys; fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT);"
        "os.set_inheritable(fd, True); fcntl.lockf(fd, fcntl.LOCK_EX);"
        "os.execv('/bin/sh', [*sys.argv[2:]])"
    )
    running = []

    def start(name: str, *words: str) -> None:
        # A shell that reads its standard input for ever, with other words on its command line.
        command = [sys.executable, "-c", holds, str(tmp_path / name), "sh", "-s", "--", *words]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"echo up\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"up\n"
        running.append(process)

    yield start
    for process in running:
        process.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="a virtiofsd of libvirt's is root's")
def test_the_process_that_holds_the_pid_file_is_looked_at(tmp_path: Path, serve: object) -> None:
    assert callable(serve)
    directory = tmp_path / "shared"
    directory.mkdir()
    live = parse(xml(f"dir='{directory}'"))
    (tmp_path / "7-a-fs0-fs.pid").write_text(str(os.getpid()))  # nobody's
    assert shares.look(live, str(tmp_path)) == {}
    serve("7-a-fs0-fs.pid", *GOOD[1:], "--shared-dir", "/elsewhere")
    assert shares.look(live, str(tmp_path)) == {}, "another one's pid file was put there"
    serve("7-b-fs0-fs.pid", *GOOD[1:], "--shared-dir", str(directory))
    found = look_at_host.look(live, modular=False, status=str(tmp_path)).shares["fs0"]
    assert filesystems.directory(found.words) == str(directory)
    assert "does not remember" not in (found.why or "")
    later = shares.look(live, str(tmp_path), since=1 << 60)["fs0"]
    assert "does not remember" in (later.why or ""), "its daemon was started after it"


@pytest.mark.skipif(os.geteuid() != 0, reason="a virtiofsd of libvirt's is root's")
def test_those_of_the_peer_are_all_looked_at(tmp_path: Path, serve: object) -> None:
    assert callable(serve)
    live, status = parse(xml()), str(tmp_path)
    assert "serve []" in (shares.unsafe_in_peer(live, status, 0) or "")
    serve("1-a-fs0-fs.pid", *GOOD[1:], "--shared-dir", "/srv")
    assert shares.unsafe_in_peer(live, status, 0) is None
    serve("1-a-fs1-fs.pid", "--shared-dir", "/srv")
    assert "by paths" in (shares.unsafe_in_peer(live, status, 0) or "")


@pytest.mark.parametrize("source", ["/", "/run", OVER["lib"], f"{OVER['etc']}/secrets"])
def test_a_directory_of_libvirts_is_another_one_in_the_peer(source: str) -> None:
    assert "of which a peer daemon has its own" in (shares.peculiar(source) or "")


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no tmpfs there")
def test_a_file_system_that_gives_file_handles() -> None:
    assert file_handles.given("/dev/shm")
    assert shares.peculiar("/dev/shm") is None


def test_a_file_system_without(tmp_path: Path) -> None:
    assert not file_handles.given("/proc")
    assert shares.peculiar("/proc/sys") == (
        "/proc/sys is on a file system that gives no file handles"
    )
    with pytest.raises(FileNotFoundError):
        file_handles.given(str(tmp_path / "none"))
    assert "none gives no file handle: No such file" in (
        shares.peculiar(str(tmp_path / "none")) or ""
    )


class Libvirt:
    """Says how old it is."""

    def __init__(self, version: int) -> None:
        self.getLibVersion = lambda: version  # libvirt-python's name


def test_a_libvirt_that_is_too_old() -> None:
    assert shares.unsupported(Libvirt(9_000_000), parse(xml())) == [
        "filesystem: libvirt 9.0 moves no virtiofs"
    ]
    assert shares.unsupported(Libvirt(11_003_000), parse(xml())) == []
    assert shares.unsupported(Libvirt(9_000_000), parse("<domain><devices/></domain>")) == []


def test_what_is_mounted_below_a_directory(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    line = "36 35 98:0 /mnt1 {} rw,noatime master:1 - ext3 /dev/root rw\n"
    places = "/srv", "/srv/a\\040b", "/srvx", "/", "/srv/c"
    table.write_text("".join(line.format(place) for place in places))
    assert list(file_handles.mounts_in("/srv", str(table))) == ["/srv/a b", "/srv/c"]
    assert len(list(file_handles.mounts_in("/", str(table)))) == 5


def test_the_wrapper_gives_what_is_asked_for(tmp_path: Path) -> None:
    """As shipped, with a virtiofsd that says how it was called; an older one gets nothing more."""
    script = (REPOSITORY / "packaging/virtiofsd/uuidfs-virtiofsd").read_text()
    ours, real = tmp_path / "ours", tmp_path / "virtiofsd"
    ours.write_text(script.replace("/usr/libexec/virtiofsd", str(real)))

    def called(*words: str) -> list[str]:
        return subprocess.run(
            ["sh", ours, *words], capture_output=True, text=True, check=True
        ).stdout.splitlines()

    can = 'echo \'{"features": [ "migrate-precopy" ]}\''
    for capability, more in (can, filesystems.GIVEN), ("echo '{}'", ()), ("exit 1", ()):
        real.write_text(
            f'#!/bin/sh\n[ "$1" != --print-capabilities ] || {{ {capability}; exit; }}\n'
            "printf '%s\\n' \"$@\"\n"
        )
        real.chmod(0o755)
        assert called("--fd=3", "--shared-dir", "/a b") == [*more, "--fd=3", "--shared-dir", "/a b"]
    assert filesystems.unsafe(filesystems.GIVEN) is None


STATUS = """<domstatus state='running'><domain id='2'><devices>
<filesystem type='mount'><driver type='virtiofs'/><binary path='/b'/><source dir='/srv'/>
<target dir='t'/><alias name='fs0'/></filesystem>
<filesystem type='mount'><source dir='/9p'/><target dir='u'/></filesystem>
</devices></domain></domstatus>"""


def test_a_peer_that_is_started_again_is_told_of_sockets(tmp_path: Path) -> None:
    """Else it would ask nobody what the virtiofsd can, and let the guest not go."""
    (tmp_path / "a-incoming.xml").write_text(STATUS)
    peer_shares.let_move(str(tmp_path), "a-incoming")
    written = (tmp_path / "a-incoming.xml").read_text()
    assert "<source socket='/var/lib/libvirt/qemu/fs0-fs.sock'/>" in written.replace('"', "'")
    assert "binary" not in written
    assert "/9p" in written
    assert peer_shares.served_at_sockets(written) is None, "once is enough"
    peer_shares.let_move(str(tmp_path), "none")
    peer_shares.let_move(str(tmp_path / "none"), "a-incoming")
    assert [path.name for path in tmp_path.iterdir()] == ["a-incoming.xml"]
