"""Watches the directories in one of libvirt's: one level of them, through no link, not too many.

watchdog can watch a directory alone, or all below it at any depth, which QEMU's user plants at
will below /var/lib/libvirt/qemu. So uuidfs tells it which directories to watch.
"""

import os
import stat
import threading
import warnings
from typing import Any

from watchdog.observers import inotify_c

from uuidfs.errors import UuidfsError
from uuidfs.files.directory import Directory, opened
from uuidfs.layout.places import Place

AT_MOST = 20_000
"""Directories of one kind: twice the domains of the largest host in docs/performance.md."""

_FLAGS = inotify_c.InotifyConstants.IN_ONLYDIR | inotify_c.InotifyConstants.IN_DONT_FOLLOW

# Adding a directory again, under a new name for example, is no mistake here.
warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)


def limit() -> int:
    """How many directories of one kind are watched: the kernel's watches are all of root's
    processes', and a quarter of them is left to a kind at most."""
    try:
        with open("/proc/sys/fs/inotify/max_user_watches", encoding="ascii") as file:
            return min(AT_MOST, int(file.read()) // 4)
    except (OSError, ValueError):
        return AT_MOST


class Subdirectories:
    """The watched directories in ``place``; ``held`` is what watches that place by itself.

    ``crowded`` says so when there are too many. Called by the loop and by watchdog's thread.
    """

    def __init__(self, place: Place, inode: tuple[int, int], held: Any, at_most: int) -> None:
        self._place = place
        self._inode = inode
        self._held = held  # watchdog's InotifyWatchGroup, or before 7.0 its InotifyBuffer
        self._at_most = at_most
        self._known: dict[str, int] = {}  # name -> inode
        self._lock = threading.Lock()
        self.crowded: str | None = None

    def __len__(self) -> int:
        return len(self._known)

    def add_all(self) -> None:
        """Watch those that are there, whatever was known before. Raises OSError when the kernel
        has no watches left."""
        self._known.clear()
        self.crowded = None
        directory = self._opened()
        if directory is not None:
            with directory:
                for name in directory.list():
                    if self.crowded is None:
                        self._add(directory, name)

    def add(self, name: str) -> None:
        """Watch one that came. Raises OSError when the kernel has no watches left."""
        directory = self._opened()
        if directory is not None:
            with directory:
                self._add(directory, name)

    def forget(self, name: str) -> None:
        """Note that one has gone; the kernel took its watch away."""
        self._known.pop(name, None)

    def _opened(self) -> Directory | None:
        """None when something else is at the place by now: that is watched anew."""
        try:
            directory = opened(self._place)
        except UuidfsError:
            return None
        if directory is not None:
            found = directory.status()
            if (found.st_dev, found.st_ino) == self._inode:
                return directory
            directory.close()
        return None

    def _add(self, directory: Directory, name: str) -> None:
        """Only what root or the session's user made: nothing else is ever a domain's."""
        try:
            found = directory.stat(name)
        except UuidfsError:
            return
        if found is None or not stat.S_ISDIR(found.st_mode):
            return
        if found.st_uid not in {0, os.geteuid()}:
            return
        with self._lock:
            if self._known.get(name) == found.st_ino:
                return
            if len(self._known) >= self._at_most:
                self.crowded = (
                    f"more than {self._at_most} directories in {self._place.path}: "
                    "of the others only full passes see changes"
                )
                return
            try:
                # By the descriptor: whoever exchanges the directory above changes nothing.
                self._watch(f"/proc/self/fd/{directory.fd}/{name}", f"{self._place.path}/{name}")
            except (FileNotFoundError, NotADirectoryError):
                return  # it went while we came
            self._known[name] = found.st_ino

    def _watch(self, path: str, label: str) -> None:
        """What watchdog does for each directory of a recursive watch, in 2.2 as in 7.1."""
        what, called = os.fsencode(path), os.fsencode(label)
        held = self._held
        if hasattr(held, "_active_callbacks_by_path"):  # 7.0 and later
            with held._lock:
                number = held._inotify_fd.add_callback(
                    what, held.event_mask | _FLAGS, held._callback, held._id
                )
                held._active_callbacks_by_path[called] = number
                held._active_callbacks_by_watch[number] = called
            return
        inotify = held._inotify
        with inotify._lock:
            number = inotify._add_watch(what, inotify.event_mask | _FLAGS)
            del inotify._wd_for_path[what]
            inotify._wd_for_path[called] = number
            inotify._path_for_wd[number] = called
