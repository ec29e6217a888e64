"""What somebody who broke out of QEMU could leave for a root tool to trip over.

QEMU's user owns /var/lib/libvirt/qemu and what is directly in it: it can create there, and
rename away what root made and put its own in the place. Each function here plants one trap;
most of them are stronger than that user is, which does no harm.
"""

import os
import socket
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.trees import QEMU_GID, QEMU_UID, Host, snapshot_xml, uuid_for

TARGET, INNOCENT = "vm0000", "vm0001"
_ENTITY = '<!ENTITY a{0} "&a{1};&a{1};&a{1};&a{1};">'
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a0 "ha">'
    + "".join(_ENTITY.format(i, i - 1) for i in range(1, 30))
    + "]><domainsnapshot><name>&a29;</name></domainsnapshot>"
).encode()


@dataclass(frozen=True)
class Ground:
    """The tree, and beside it an area of which nothing may ever change."""

    host: Host
    victim: Path

    @property
    def mine(self) -> Path:
        """The directory of the domain that is attacked."""
        return self.host.snapshot / TARGET


def lay_out_victim(victim: Path) -> None:
    """Files worth attacking; some look exactly like what uuidfs would move."""
    victim.mkdir()
    (victim / "shadow").write_bytes(b"root:$6$secret:19000:0:99999:7:::\n")
    (victim / "shadow").chmod(0o600)
    for directory in (victim, victim / TARGET, victim / "snapshot" / TARGET):
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("valid.xml", "base.xml"):
            (directory / name).write_bytes(snapshot_xml(name[:-4], TARGET, uuid_for(TARGET)))
    (victim / "empty").mkdir()


def own(*paths: Path) -> None:
    """Give planted things to QEMU's user."""
    for path in paths:
        os.chown(path, QEMU_UID, QEMU_GID, follow_symlinks=False)


def _take_directory(ground: Ground) -> Path:
    """Rename root's directory away and put an own one in its place."""
    ground.mine.rename(ground.host.snapshot / "renamed away")
    ground.mine.mkdir()
    own(ground.mine)
    return ground.mine


def _links(directory: Path, ground: Ground) -> None:
    innocent = uuid_for(INNOCENT)
    for number, text in enumerate(
        (
            os.fspath(ground.victim / "shadow"),
            os.fspath(ground.victim / "valid.xml"),
            os.fspath(ground.victim),
            "/dev/zero",
            "/proc/self/fd/0",
            "nowhere",
            "link7.xml",
            ".",
            "..",
            f"../../../by-uuid/snapshot/{innocent}/base.xml",
            f"../../../by-uuid/snapshot/../../../../../{ground.victim.name}/valid.xml",
            f"../../../by-uuid/snapshot/{uuid_for(TARGET)}/../../../../../../etc/passwd",
        )
    ):
        (directory / f"link{number}.xml").symlink_to(text)
        own(directory / f"link{number}.xml")


def _special(directory: Path, _ground: Ground) -> None:
    there = set(directory.iterdir())
    os.mkfifo(directory / "fifo.xml")
    (directory / "directory.xml").mkdir()
    (directory / "directory.xml/base.xml").write_bytes(b"<x/>")
    os.mknod(directory / "null.xml", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(directory / "zero.xml", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    fd = os.open(directory, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:  # the path may be too long for one
            listener.bind(f"/proc/self/fd/{fd}/socket.xml")
    finally:
        os.close(fd)
    own(*set(directory.iterdir()) - there)


def _foreign(directory: Path, _ground: Ground) -> None:
    (directory / "foreign.xml").write_bytes(snapshot_xml("foreign", TARGET, uuid_for(TARGET)))
    own(directory / "foreign.xml")


def _hard_links(directory: Path, ground: Ground) -> None:
    os.link(ground.victim / "shadow", directory / "shadow.xml")
    own_uuid = ground.host.snapshot / INNOCENT / "base.xml"
    os.link(own_uuid, directory / "theirs.xml", follow_symlinks=False)


def _hard_link_to_valid(directory: Path, ground: Ground) -> None:
    os.link(ground.victim / "valid.xml", directory / "valid.xml")


def _huge(directory: Path, _ground: Ground) -> None:
    (directory / "bomb.xml").write_bytes(BOMB)
    with (directory / "sparse.xml").open("wb") as file:
        file.write(b"<domainsnapshot><name>")
        file.truncate(100 * 1024 * 1024)
    (directory / "deep.xml").write_bytes(b"<domainsnapshot>" + b"<a>" * 100_000)
    (directory / "nul.xml").write_bytes(b"\0" * 5000)
    (directory / "utf16.xml").write_bytes("<domainsnapshot/>".encode("utf-16"))
    (directory / "empty.xml").write_bytes(b"")


def _names(directory: Path, _ground: Ground) -> None:
    raw = os.fsencode(directory)
    for name in (
        b"\xff\xfe.xml",
        b"new\nline.xml",
        b"\x1b[31mred.xml",
        b"n" * 251 + b".xml",
        b"~link",
        b"~keep",
        b".xml",
        b"trash",
        b"by-uuid",
        b" ",
        b"-rf.xml",
        b"%s%n.xml",
        b"base.xml.new",
        "\u202egnp.xml".encode(),
    ):
        path = raw + b"/" + name
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, snapshot_xml("odd", TARGET, uuid_for(TARGET)))
        os.close(fd)
        os.chown(path, QEMU_UID, QEMU_GID)


_CONTENTS = (_links, _special, _foreign, _hard_links, _huge, _names)


def _in_own_directory(fill: Callable[[Path, Ground], None]) -> Callable[[Ground], None]:
    return lambda ground: fill(_take_directory(ground), ground)


def _in_roots_directory(fill: Callable[[Path, Ground], None]) -> Callable[[Ground], None]:
    return lambda ground: fill(ground.mine, ground)


def _in_unknown_directory(fill: Callable[[Path, Ground], None]) -> Callable[[Ground], None]:
    def plant(ground: Ground) -> None:
        ghost = ground.host.checkpoint / "ghost"
        ghost.mkdir()
        own(ghost)
        fill(ghost, ground)

    return plant


def _instead(text: str) -> Callable[[Ground], None]:
    """snapshot/TARGET as a symlink; VICTIM in the text is the area's path."""

    def plant(ground: Ground) -> None:
        ground.mine.rename(ground.host.snapshot / "renamed away")
        ground.mine.symlink_to(text.replace("VICTIM", os.fspath(ground.victim)))
        own(ground.mine)

    return plant


def _above(which: str, text: str) -> Callable[[Ground], None]:
    """snapshot, checkpoint or the whole of qemu as a symlink."""

    def plant(ground: Ground) -> None:
        path = ground.host.lib if which == "qemu" else ground.host.lib / which
        path.rename(path.with_name("renamed away"))
        path.symlink_to(text.replace("VICTIM", os.fspath(ground.victim)))
        own(path)

    return plant


def _node(make: Callable[[Path], None]) -> Callable[[Ground], None]:
    def plant(ground: Ground) -> None:
        ground.mine.rename(ground.host.snapshot / "renamed away")
        make(ground.mine)
        own(ground.mine)

    return plant


def traps() -> Iterable[tuple[str, Callable[[Ground], None]]]:
    """All traps, each with a name for the test's id."""
    for fill in _CONTENTS:
        yield f"own directory{fill.__name__}", _in_own_directory(fill)
        yield f"root's directory{fill.__name__}", _in_roots_directory(fill)
    yield "own directory_hard_link_to_valid", _in_own_directory(_hard_link_to_valid)
    yield "config directory_special", lambda ground: _special(ground.host.config, ground)
    yield "log is a fifo", lambda ground: os.mkfifo(ground.host.log_of(TARGET, ".9"))
    yield "unknown directory_links", _in_unknown_directory(_links)
    yield "unknown directory_special", _in_unknown_directory(_special)
    for text in (
        "VICTIM",
        f"VICTIM/{TARGET}",
        INNOCENT,
        ".",
        "..",
        "nowhere",
        TARGET,
        f"../../by-uuid/snapshot/{uuid_for(INNOCENT)}",
        "/dev/zero",
    ):
        yield f"linked to {text}", _instead(text)
    yield "a fifo", _node(os.mkfifo)
    yield "a file", _node(Path.touch)
    for which in ("snapshot", "checkpoint"):
        yield f"{which} linked to the victim", _above(which, "VICTIM")
    yield "snapshot linked to its copy", _above("snapshot", "VICTIM/snapshot")
    yield "qemu linked to the victim", _above("qemu", "VICTIM")
