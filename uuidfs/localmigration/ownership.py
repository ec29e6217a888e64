"""Gives a guest's disks to its new process again, and nothing else.

The source's daemon takes a guest's files back to root when its process has ended. A guest that
arrived paused opens its disks for writing when it begins to run, which is later. libvirt has no
call for that, so this does what libvirt did when the process started. It has to be done before
anything else: QEMU up to 9.2 aborts where a guest that has not opened its disks is moved on
(bdrv_inactivate_recurse), and then the guest is lost.
"""

import contextlib
import json
import os

from lxml import etree

from uuidfs.files.directory import existing
from uuidfs.files.small import write_whole
from uuidfs.layout.places import Place

_OPEN = os.O_PATH | os.O_CLOEXEC

_NAME = "disks.json"  # in the peer's directory, which is root's


class Disks:
    """The disks that a guest's user owns before a hop, held by descriptors.

    By path, whoever may change a name on the way to a disk would be given any file of root's. A
    descriptor stays with the file that was that user's. For a recovery by another process their
    identities are kept in a file.
    """

    def __init__(self, live: etree._Element, owner: tuple[int, int]) -> None:
        self._owner = owner
        self._fds: dict[str, int] = {}
        for source in live.iterfind("devices/disk/source"):
            disk = source.getparent()
            if disk is None or disk.find("readonly") is not None:
                continue
            for path in (source.get("file"), source.get("dev")):
                if path:
                    self._hold(path)

    def _hold(self, path: str) -> None:
        try:
            fd = os.open(path, _OPEN)
        except OSError:
            return
        if os.fstat(fd).st_uid == self._owner[0] and path not in self._fds:
            self._fds[path] = fd
        else:
            os.close(fd)

    def remember(self, directory: str) -> None:
        """Keep for ``give_back_remembered`` which these are. Raises OSError or UuidfsError."""
        found = [[path, *_identity(fd)] for path, fd in self._fds.items()]
        text = json.dumps({"owner": self._owner, "disks": found})
        with existing(Place(directory)) as kept:
            write_whole(kept, _NAME, text.encode(), mode=0o600)

    def give_back(self) -> None:
        """Once the guest is where it goes."""
        for fd in self._fds.values():
            _give(fd, self._owner)

    def close(self) -> None:
        """Let go of them."""
        while self._fds:
            os.close(self._fds.popitem()[1])


def give_back_remembered(directory: str) -> None:
    """The same after whoever held the descriptors has died: what is still at its path.

    A path that leads to another file by now is left alone. Raises OSError or UuidfsError.
    """
    with existing(Place(directory)) as kept:
        text = kept.read(_NAME, 1 << 20)
    if text is None:
        return
    known = json.loads(text)
    for path, *identity in known["disks"]:
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, _OPEN)
            try:
                if [*_identity(fd)] == identity:
                    _give(fd, known["owner"])
            finally:
                os.close(fd)


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _give(fd: int, owner: tuple[int, int]) -> None:
    if os.fstat(fd).st_uid != owner[0]:
        # chown(2) follows this link to what is open, and to nothing else.
        os.chown(f"/proc/self/fd/{fd}", *owner)
