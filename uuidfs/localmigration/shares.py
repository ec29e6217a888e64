"""Shared directories of virtiofs: what serves them now, and whether a peer can serve them too.

libvirt 11.3 keeps a virtiofsd's pid in STATUS/ID-NAME-ALIAS-fs.pid, which the process has locked.
NAME is cut there, so the domain's id is what the file is found by.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from lxml import etree

from uuidfs.files.directory import opened
from uuidfs.layout.places import Place
from uuidfs.localmigration import file_handles
from uuidfs.localmigration.devices import filesystems
from uuidfs.localmigration.devices.facts import Share
from uuidfs.localmigration.peer_inside import FOR_TPM, OVER
from uuidfs.localmigration.processes import process_of
from uuidfs.runtime.owners import started_at

FIRST = 11_000_000  # of virConnectGetLibVersion: older ones migrate no virtiofs; seen with 11.3

# libvirt asks a virtiofsd what it can when it starts it, and keeps that in memory (11.3).
_FORGOTTEN = (
    "libvirt was started again since its virtiofsd was, and does not remember that this one can "
    "migrate; it can move again from its next start on"
)

_SOON = 5.0  # seconds for a process that libvirt has just forked to become a virtiofsd


def look(live: etree._Element, status: str, since: int = 0) -> dict[str, Share]:
    """The directories of a running domain by alias. Raises UuidfsError or OSError.

    One whose virtiofsd has ended is left out. ``since``: when the domain's daemon was started,
    in clock ticks after boot.
    """
    found = {}
    for device in filesystems.shared(live):
        name, directory = filesystems.alias(device), _directory(device)
        for words, began in _serving(status, f"{live.get('id', '')}-", f"-{name}-fs.pid"):
            # QEMU's user owns the directory of pid files, and may have exchanged two.
            if filesystems.directory(words) == directory:
                forgotten = _FORGOTTEN if began < since else None
                found[name] = Share(words, forgotten or peculiar(directory))
    return found


def unsupported(host: Any, live: etree._Element) -> list[str]:
    """Why this libvirt moves no such directory, if the domain has one and it does not."""
    version = host.getLibVersion()
    if version >= FIRST or not filesystems.shared(live):
        return []
    return [f"filesystem: libvirt {version // 1000000}.{version // 1000 % 1000} moves no virtiofs"]


def unsafe_in_peer(live: etree._Element, status: str, patience: float = _SOON) -> str | None:
    """Why the guest must not come in: of each virtiofsd that the peer has started, as it runs.

    Whatever <binary> names may have been exchanged since the host's was started from it. A process
    that was just forked is waited for. Raises UuidfsError or OSError.
    """
    wanted = sorted(map(_directory, filesystems.shared(live)))
    deadline = time.monotonic() + patience
    while True:
        serving = [words for words, _ in _serving(status, "", "-fs.pid")]
        why = next(filter(None, map(filesystems.unsafe, serving)), None)
        served = sorted(filesystems.directory(words) for words in serving)
        if why is None and served == wanted:
            return None
        if time.monotonic() >= deadline:
            return why or f"its virtiofsd serve {served}, and not {wanted}"
        time.sleep(0.005)


def _directory(device: etree._Element) -> str:
    source = device.find("source")
    return source.get("dir", "") if source is not None else ""


def _serving(status: str, begin: str, end: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """The command lines of root's processes that hold such pid files, and when they began."""
    directory = opened(Place(status))
    if directory is None:
        return
    with directory:
        names = [name for name in directory.list() if name.startswith(begin) and name.endswith(end)]
    for name in names:
        process = process_of(f"{status}/{name}")
        if process is None:
            continue
        with process, contextlib.suppress(ProcessLookupError):  # it ends while it is looked at
            words = tuple(process.read("cmdline").split("\0")[:-1])
            # A process of QEMU's user could hold a file of its own, and call itself anything.
            if words and process.owner[0] == 0:
                yield words, started_at(process.pid) or 0


def peculiar(directory: str) -> str | None:
    """What of a directory keeps it from being served by a peer."""
    real = os.path.realpath(directory)
    for path in (*OVER.values(), *FOR_TPM.values()):
        if os.path.commonpath([real, os.path.realpath(path)]) in {real, os.path.realpath(path)}:
            return f"{directory} has to do with {path}, of which a peer daemon has its own"
    for place in (real, *file_handles.mounts_in(real)):
        try:
            if not file_handles.given(place):
                return f"{place} is on a file system that gives no file handles"
        except OSError as error:
            return f"{place} gives no file handle: {error.strerror}"
    return None
