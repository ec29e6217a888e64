"""Makes keepsakes, refreshes them, drops stale ones, and puts those of gone domains into the trash.

A file that is written in place, as QEMU does with NVRAM, is its keepsake all the time. One that is
replaced by a rename (swtpm, --reset-nvram) has a stale keepsake until the next look.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from uuidfs.apply.open_dirs import OpenDirs
from uuidfs.apply.trashing import into_trash, now
from uuidfs.errors import Busy, Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import Directory, opened
from uuidfs.files.entry import Entry
from uuidfs.files.trusted import TrustedDirs
from uuidfs.firmware.kept import GONE, made
from uuidfs.keepsakes.judge import judged
from uuidfs.keepsakes.sources import AUTOSTART, SAVE, Source, is_firmware, sources
from uuidfs.layout.names import UNDELETE_MARK, is_uuid
from uuidfs.layout.places import TRASH, Kind
from uuidfs.layout.trash_label import Reason, TrashLabel
from uuidfs.runtime.domain_locks import Locks
from uuidfs.survey.identity import MAX_BYTES

SETTLED = 60.0  # seconds that a source has to be gone for before its keepsake goes

TOGETHER = 2.0  # seconds; libvirt removes the autostart link and then the config

_TEMPORARY = "~new"

_ENDING = 60 * 10**9  # nanoseconds that a process takes to end at most, once its save is complete

_NO_LINK = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP})


class Wishes(NamedTuple):
    """What to keep. ``secrets``: NVRAM, TPM states, managed saves. ``saves``: whether keepsakes
    of managed saves are made, by who comes back soon: they hold much space once a save is gone."""

    secrets: bool = True
    saves: bool = False
    by: str = "convert"


def keeper(
    *, secrets: bool, saves: bool = False, by: str = "convert"
) -> Callable[[TrustedDirs], "Keeper"]:
    """What makes a keeper, for the options of convert and of the reconciler."""
    return partial(Keeper, wishes=Wishes(secrets, saves, by))


class _Work(NamedTuple):
    make: list[Source]
    drop: list[str]
    autostart: bool | None  # None: as it is


class Keeper:
    """Tends the keepsakes of one layout. It never waits for a lock."""

    def __init__(self, dirs: TrustedDirs, wishes: Wishes) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self.wishes = wishes
        self._locks = Locks(self.layout, 0.0)

    def refresh(self, uuid: str, name: str) -> None:
        """Bring the keepsakes of a domain up to date, if its config is in the store.

        What may not be kept (a link, another's file, another file system) is not. A domain whose
        lock is held is left to the next look. Raises UuidfsError.
        """
        if self._is_done(self._work(uuid, name)):
            return
        with contextlib.suppress(Busy), self._locks.hold(uuid):
            work = self._work(uuid, name)
            if work is None or self._is_done(work):
                return
            try:
                self._do(uuid, work)
            except OSError as error:
                path = self.layout.kept.child(uuid).path
                raise SystemCallFailed("keep", path, error) from error

    def drop(self, uuid: str) -> None:
        """Remove the keepsakes of a domain that is no longer converted. Raises UuidfsError."""
        with _opened(self.dirs.kept(), uuid) as (kept, directory):
            if kept is None or directory is None:
                return
            try:
                for name in directory.list():
                    if not is_firmware(name):  # which may be the file's last name
                        change.unlink(directory, name)
                change.remove_directory(kept, uuid)
            except OSError as error:
                raise SystemCallFailed("remove", directory.path, error) from error

    def uuids(self) -> list[str]:
        """The domains that have keepsakes."""
        kept = self.dirs.kept()
        if kept is None:
            return []
        with kept:
            return [name for name in sorted(kept.list()) if is_uuid(name)]

    def retire(self, uuid: str) -> bool:
        """Put the keepsakes of a domain that two scans have not found into the trash.

        Tells whether there were any. Raises UuidfsError.
        """
        with (
            contextlib.suppress(Busy),
            self._locks.hold(uuid),
            _opened(self.dirs.kept(), uuid) as (kept, directory),
        ):
            if kept is None or directory is None:
                return False
            open_dirs = OpenDirs(self.dirs)
            label = TrashLabel(uuid, now(), Reason.UNDEFINED.value, self.wishes.by)
            moved = False
            try:
                for name in sorted(directory.list()):
                    if name == UNDELETE_MARK and self._is_under_way(directory.link_text(name)):
                        continue
                    if not self._is_worth_it(uuid, directory, name):
                        change.unlink(directory, name)
                        continue
                    into_trash(open_dirs, kept, label, directory, name)
                    moved = True
                open_dirs.touch(directory.place)
                change.remove_directory(kept, uuid)
                open_dirs.sync()
            except OSError as error:
                raise SystemCallFailed("trash", directory.path, error) from error
            return moved
        return False

    def _is_worth_it(self, uuid: str, directory: Directory, name: str) -> bool:
        if name == UNDELETE_MARK or _is_temporary(name):
            return False
        if not self.wishes.secrets:
            return name == AUTOSTART
        return name != SAVE or not self._has_run_since(uuid, directory.look(name))

    def _has_run_since(self, uuid: str, save: Entry | None) -> bool:
        """Whether the guest ran after libvirt wrote its managed save.

        Then its disks have changed, and the save would destroy them. libvirt writes into the log
        when a guest starts and ends; where there is no log that cannot be told.
        """
        store = self.dirs.store(Kind.LOG)
        log = store.look(f"{uuid}.log") if store is not None else None
        return save is None or log is None or log.mtime > min(save.ctime, save.mtime + _ENDING)

    def _is_under_way(self, label: str | None) -> bool:
        """Whether the config that an undelete was to bring back is in the trash still."""
        store = self.dirs.store(Kind.CONFIG)
        trash = store.child(TRASH) if store is not None else None
        if trash is None or label is None:
            return False
        with trash:
            return trash.look(label) is not None

    # -- what is to be done --------------------------------------------------------------

    def _is_done(self, work: _Work | None) -> bool:
        return work is None or (not work.make and not work.drop and work.autostart is None)

    def _work(self, uuid: str, name: str) -> _Work | None:
        """None where nothing is to be done: the config is being written, or is not converted."""
        try:
            names, store = self.dirs.names(Kind.CONFIG), self.dirs.store(Kind.CONFIG)
        except Refused:
            return None  # the scan has told that
        if names is None or store is None:
            return None
        # Before the config: libvirt removes the link first.
        starts = self._autostart(name)
        text = self.layout.link_text(Kind.CONFIG, uuid, f"{uuid}.xml")
        config = store.read(f"{uuid}.xml", MAX_BYTES)
        if config is None or names.link_text(f"{name}.xml") != text:
            return None
        there = self._there(uuid)
        marked = there.pop(AUTOSTART, None) is not None
        make, wanted = [], set[str]()
        for source in sources(self.layout, uuid, name, config) if self.wishes.secrets else ():
            if source.is_shared:
                continue
            known = there.get(source.kept)
            with judged(source, known, self.dirs.trusted) as fd:
                if fd is None:
                    continue
                is_new = known is None or known.ino != os.fstat(fd).st_ino
                if not is_new:
                    wanted.add(source.kept)
                elif self.wishes.saves or source.kept != SAVE:
                    wanted.add(source.kept)
                    make.append(source)
        drop = [
            kept
            for kept, entry in there.items()
            if kept not in wanted
            # Another domain's undefine may have taken the file: then this is all that is left.
            and not is_firmware(kept)
            # At its next start the guest writes to its disks, and the save would destroy them.
            and (kept == SAVE or self._is_settled(entry) or not self.wishes.secrets)
        ]
        return _Work(make, drop, starts if starts is not None and starts != marked else None)

    def _there(self, uuid: str) -> dict[str, Entry]:
        with _opened(self.dirs.kept(), uuid) as (_, directory):
            if directory is None:
                return {}
            found = {name: directory.look(name) for name in directory.list()}
        return {
            name: entry
            for name, entry in found.items()
            if entry is not None and name != UNDELETE_MARK and not _is_temporary(name)
        }

    def _is_settled(self, entry: Entry) -> bool:
        """Whether what it was a second name of went a while ago, and not with the domain just now.

        The last unlink(2) changed the inode's ctime.
        """
        return time.time() - entry.ctime / 1e9 > SETTLED

    def _autostart(self, name: str) -> bool | None:
        """Whether libvirt starts it by itself; None when that may be about to go with it."""
        directory = opened(self.layout.autostart)
        if directory is None:
            return False
        with directory:
            text = directory.link_text(f"{name}.xml")
            if text is not None and os.path.basename(text) == f"{name}.xml":
                return True
            return False if time.time() - directory.status().st_mtime > TOGETHER else None

    # -- doing it ------------------------------------------------------------------------

    def _do(self, uuid: str, work: _Work) -> None:
        if work.make or work.autostart:
            made(self.layout, uuid).close()
        with _opened(self.dirs.kept(), uuid) as (kept, directory):
            if kept is None or directory is None:
                return
            self.dirs.check_store(directory)
            change.unlink(directory, _TEMPORARY)
            for source in work.make:
                self._link(source, directory)
            for name in work.drop:
                change.unlink(directory, name)
            if work.autostart:
                with contextlib.suppress(FileExistsError):
                    change.symlink(AUTOSTART, directory, AUTOSTART)
            elif work.autostart is not None:
                change.unlink(directory, AUTOSTART)
            change.sync_directory(directory)
            change.remove_directory(kept, uuid)

    def _link(self, source: Source, directory: Directory) -> None:
        known = directory.look(source.kept)
        with judged(source, known, self.dirs.trusted) as fd:
            if fd is None:
                return
            try:
                change.link_open(fd, directory, _TEMPORARY)
            except OSError as error:
                if error.errno in _NO_LINK:
                    return  # another file system, or mount, or one that has no hard links
                raise
        change.trace("keep: linked")
        change.rename(directory, _TEMPORARY, directory, source.kept)


def _is_temporary(name: str) -> bool:
    return name == GONE or name.endswith(_TEMPORARY)


@contextlib.contextmanager
def _opened(
    kept: Directory | None, uuid: str
) -> Iterator[tuple[Directory | None, Directory | None]]:
    """The directory of all keepsakes, and that of one domain."""
    if kept is None:
        yield None, None
        return
    with kept:
        directory = kept.child(uuid)
        if directory is None:
            yield kept, None
            return
        with directory:
            yield kept, directory
