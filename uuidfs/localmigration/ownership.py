"""Gives a guest's disks to its new process again, and nothing else.

The source's daemon takes a guest's files back to root when its process has ended. A guest that
arrived paused opens its disks for writing when it begins to run, which is later. libvirt has no
call for that, so this does what libvirt did when the process started.
"""

import os

from lxml import etree

_OPEN = os.O_PATH | os.O_CLOEXEC


class Disks:
    """The disks that a guest's user owns before a hop, held by descriptors.

    By path, whoever may change a name on the way to a disk would be given any file of root's. A
    descriptor stays with the file that was that user's.
    """

    def __init__(self, live: etree._Element, owner: tuple[int, int]) -> None:
        self._owner = owner
        self._fds: list[int] = []
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
        if os.fstat(fd).st_uid == self._owner[0]:
            self._fds.append(fd)
        else:
            os.close(fd)

    def give_back(self) -> None:
        """Once the guest is where it goes."""
        for fd in self._fds:
            if os.fstat(fd).st_uid != self._owner[0]:
                # chown(2) follows this link to what is open, and to nothing else.
                os.chown(f"/proc/self/fd/{fd}", *self._owner)

    def close(self) -> None:
        """Let go of them."""
        while self._fds:
            os.close(self._fds.pop())
