"""Watches libvirt's directories with watchdog: an event only says where to look.

inotify tells of names, so what libvirt does by rename(2), unlink(2) and mkdir(2) is seen at
once. What it cannot tell is found by :meth:`Watcher.tend` and by the reconciler's full passes:
directories that are replaced or come later, a queue that overflowed, watches that ran out.
Nothing is watched through a link: below /var/lib/libvirt/qemu QEMU's user makes them.
"""

import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from watchdog import events
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from uuidfs.errors import UuidfsError
from uuidfs.files.directory import opened
from uuidfs.layout.names import ONCE
from uuidfs.layout.places import AUTOSTART, Kind, Layout, Place
from uuidfs.reconcile.queue import ChangedName, ChangeQueue
from uuidfs.reconcile.subdirectories import Subdirectories, limit

_TYPES = frozenset({"created", "moved", "deleted", "closed"})


class _Target(NamedTuple):
    """One directory to watch; ``kind`` None is that of the status XML, and of autostart links."""

    kind: Kind | None
    place: Place

    @property
    def path(self) -> str:
        return self.place.path


class _Watched(NamedTuple):
    """What watches a target: its inode, watchdog's ObservedWatch, and the directories in it."""

    inode: tuple[int, int]
    watch: Any
    below: Subdirectories | None


class Watcher:
    """The watches of one layout; ``polling`` says why there are none, when there are none."""

    def __init__(self, layout: Layout, changes: ChangeQueue) -> None:
        self._changes = changes
        self._targets = [_Target(kind, place) for kind, place in layout.names.items()]
        self._targets.append(_Target(Kind.CONFIG, layout.names[Kind.CONFIG].child(AUTOSTART)))
        self._targets.append(_Target(None, layout.status))
        self._watched: dict[_Target, _Watched] = {}
        self._at_most = limit()
        self._observer: Any = None  # an Observer; the name is a function's in some releases
        self._lost = False
        self.polling: str | None = None
        _tune(self._overflowed)

    def start(self) -> None:
        """Begin to watch what is there; :meth:`tend` sees to the rest."""
        self._observer = Observer()
        self._observer.start()
        self.tend()

    def stop(self) -> None:
        """Stop all watches."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5.0)

    def tend(self) -> None:
        """Watch directories that came, and again those that were replaced.

        To be called every second or so: a watch is on an inode and goes with it. Where that
        changed anything, everything is dirty. When the kernel has no watches left
        (fs.inotify.max_user_watches), ``polling`` says so from then on.
        """
        for target in self._targets:
            known = self._watched.get(target)
            found = _inode(target.place)
            if known is not None and known.inode == found:
                continue
            if known is not None:
                del self._watched[target]
                self._unschedule(known.watch)
            if found is not None and self.polling is None:
                self._schedule(target, found)
        if self._lost:
            self._lost = False
            self._look_below()

    def _overflowed(self) -> None:
        """Called by watchdog's thread, which holds locks: directories that came are left to
        :meth:`tend`."""
        self._lost = True
        self._changes.add_everything()

    def _look_below(self) -> None:
        for target, watched in self._watched.items():
            if watched.below is not None:
                try:
                    watched.below.add_all()
                except (OSError, UuidfsError) as error:
                    self._out_of_watches(target.path, error)
        self._changes.add_everything()  # what was done there meanwhile nobody saw

    def count(self) -> int:
        """How many inotify watches there are: one a directory."""
        below = [watched.below for watched in self._watched.values()]
        return len(below) + sum(len(each) for each in below if each is not None)

    def crowded(self) -> list[str]:
        """What is not watched since there is too much of it."""
        below = [watched.below for watched in self._watched.values()]
        return [each.crowded for each in below if each is not None and each.crowded is not None]

    def _schedule(self, target: _Target, found: tuple[int, int]) -> None:
        handler = _Handler(target, self._changes, self._out_of_watches)
        try:
            watch = self._observer.schedule(handler, target.path, recursive=False, **_FILTER)
            below = self._below(target, found, watch)
            self._watched[target] = _Watched(found, watch, below)
            if below is not None:
                handler.below = below  # from now on; what came before is in the listing
                below.add_all()
        except FileNotFoundError:
            return  # it went while we came
        except (OSError, UuidfsError) as error:
            self._out_of_watches(target.path, error)
            return
        self._changes.add_everything()

    def _below(self, target: _Target, found: tuple[int, int], watch: Any) -> Subdirectories | None:
        if target.kind is None or not target.kind.is_metadata:
            return None
        held = self._observer._emitter_for_watch[watch]._inotify
        return Subdirectories(target.place, found, held, self._at_most)

    def _out_of_watches(self, path: str, error: Exception) -> None:
        why = getattr(error, "strerror", None) or error
        self.polling = f"cannot watch {path}: {why}"

    def _unschedule(self, watch: Any) -> None:  # watchdog's ObservedWatch
        try:
            self._observer.unschedule(watch)
        except (KeyError, OSError):
            pass  # its emitter ended with the directory


class _Handler(FileSystemEventHandler):
    def __init__(
        self,
        target: _Target,
        changes: ChangeQueue,
        failed: Callable[[str, Exception], None],
    ) -> None:
        self._target = target
        self._changes = changes
        self._failed = failed
        self.below: Subdirectories | None = None

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type not in _TYPES:
            return
        for path in (event.src_path, getattr(event, "dest_path", "")):
            for changed in _named(self._target, os.fsdecode(path)):
                if self.below is not None and not changed.entry:
                    self._tend(self.below, changed.name)
                self._changes.add(changed)

    def _tend(self, below: Subdirectories, name: str) -> None:
        """A directory came, or went, or has another name. It is watched before anybody looks
        into it: what came earlier is found by that look."""
        below.forget(name)
        try:
            below.add(name)
        except OSError as error:
            self._failed(self._target.path, error)


def _named(target: _Target, path: str) -> Iterator[ChangedName]:
    """What a path stands for; nothing for temporary files and other people's."""
    if not path.startswith(target.path + "/"):
        return
    parts = path[len(target.path) + 1 :].split("/")
    kind, entry = target.kind, parts[-1]
    if kind is not None and kind.is_metadata:
        if len(parts) == 1:
            yield ChangedName(kind, entry)
        elif len(parts) == 2 and not entry.endswith(".xml.new"):
            yield ChangedName(kind, parts[0], entry)
    elif len(parts) > 1:
        return
    elif kind is Kind.LOG:
        if ".log" in entry:
            yield ChangedName(kind, entry, entry)
    elif target.place.below[-1:] == (AUTOSTART,):
        if entry.endswith(ONCE):
            yield ChangedName(Kind.CONFIG, entry[: -len(ONCE)], entry)
        elif entry.endswith(".xml"):
            yield ChangedName(None, entry[:-4], entry)
    elif entry.endswith(".xml"):  # libvirt writes NAME.xml.new and renames it
        yield ChangedName(kind, entry[:-4], entry)


def _inode(place: Place) -> tuple[int, int] | None:
    """None also where a component is a link, or cannot be looked at: full passes say so."""
    try:
        directory = opened(place)
    except UuidfsError:
        return None
    if directory is None:
        return None
    with directory:
        found = directory.status()
    return found.st_dev, found.st_ino


def _filter() -> dict[str, Any]:
    """Newer watchdogs can leave the kernel's other events out; else every read wakes us."""
    if "event_filter" not in inspect.signature(Observer().schedule).parameters:
        return {}
    names = (
        "FileCreatedEvent",
        "FileMovedEvent",
        "FileDeletedEvent",
        "FileClosedEvent",
        "DirCreatedEvent",
        "DirMovedEvent",
        "DirDeletedEvent",
    )
    return {"event_filter": [getattr(events, name) for name in names if hasattr(events, name)]}


_FILTER = _filter()


def _tune(overflowed: Callable[[], None]) -> None:
    """Two things that watchdog has no interface for, in 2.2 as in 7.1.

    It holds back a MOVED_FROM for half a second, and all events behind it, to pair it with a
    MOVED_TO: our own RENAME_EXCHANGE with an unwatched store makes one at every fold. We need
    no pairs. And 2.2 drops IN_Q_OVERFLOW silently, 7.1 logs it: we have to know.
    """
    from watchdog.observers import inotify_c

    try:
        from watchdog.observers.inotify_move_event_grouper import (  # type: ignore[import-not-found,unused-ignore] # 7.0 and later
            InotifyMoveEventGrouper as Buffer,
        )
    except ImportError:
        from watchdog.observers.inotify_buffer import (  # type: ignore[import-not-found,no-redef,unused-ignore] # before
            InotifyBuffer as Buffer,
        )
    Buffer.delay = 0.0
    reader = getattr(inotify_c, "InotifyFD", None) or inotify_c.Inotify  # type: ignore[attr-defined,unused-ignore] # either exists
    parse = getattr(reader, "uuidfs_parse", None) or reader._parse_event_buffer
    reader.uuidfs_parse = parse
    lost = inotify_c.InotifyConstants.IN_Q_OVERFLOW

    def watched(buffer: bytes) -> Iterator[Any]:
        for event in parse(buffer):
            if event[1] & lost:
                overflowed()
            yield event

    reader._parse_event_buffer = staticmethod(watched)
