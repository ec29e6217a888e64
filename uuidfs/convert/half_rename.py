"""Finishes a rename that a crash cut in half: two names, two configs, one UUID.

libvirt (9.0 and 11.3) writes new.xml as its fourth step and removes old.xml as its fifth.
What is left to do is that fifth step, for the name that lost.
"""

from collections.abc import Callable
from dataclasses import dataclass

from uuidfs.apply.applier import Applier
from uuidfs.convert.results import Options
from uuidfs.convert.rivals import Rivals, path_of
from uuidfs.errors import Changed, Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.entry import Entry
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import ONCE, ONCE_MARK, marked_once
from uuidfs.layout.places import AUTOSTART, Kind, Layout
from uuidfs.layout.trash_label import Reason
from uuidfs.plan.draft import Draft
from uuidfs.plan.once import plan_once
from uuidfs.runtime.domain_locks import Locks
from uuidfs.survey.scan import Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor
from uuidfs.survey.view import Once, View


@dataclass(frozen=True)
class FinishedRename:
    """What was decided."""

    uuid: str
    winner: str
    losers: tuple[str, ...]


def finish_rename(
    layout: Layout, uuid: str, ask: Callable[[Layout, str], str | None], options: Options
) -> FinishedRename | None:
    """Remove the losing names of a UUID, under its lock. None when there is one name only.

    ``ask`` returns libvirt's name for the UUID, or None when no daemon runs: then the
    regular file that was written last wins over others and over links. Raises Refused when
    neither tells, Busy when the lock is held. Files that are not links go to the trash.
    """
    with TrustedDirs(layout) as dirs, Locks(layout, options.lock_timeout).hold(uuid):
        surveyor = Surveyor(dirs, options.reader)
        scan = scan_all(surveyor.documents)
        names = scan.names_of.get(uuid, [])
        if len(names) < 2:
            return None
        _expect_configs(layout, scan, names)
        seen = Rivals(dirs, uuid, names)
        winner = _winner(dirs, scan, uuid, names, ask(layout, uuid))
        losers = tuple(name for name in names if name != winner)
        for loser in losers:
            seen.check(winner, loser)
        with Applier(dirs, options.by) as applier:
            for loser in losers:
                _retire(dirs, applier, uuid, winner, loser, seen.configs[loser])
        return FinishedRename(uuid, winner, losers)


def _expect_configs(layout: Layout, scan: Scan, names: list[str]) -> None:
    """Raise Refused where one of the names is that of a running domain without a config.

    A half rename whose domain was started and undefined leaves that: libvirt forgets the domain at
    its end, and a daemon that is started again finds the other name's config.
    """
    running = [name for name in names if scan.source_of[name] != "config"]
    if running:
        other = next((name for name in names if name not in running), names[0])
        raise Refused(
            path_of(layout, other),
            f"it has the UUID of {running[0]!r}, which runs and has no config",
            "if that one was undefined, move this file away: libvirt's next start brings it back",
        )


def _winner(dirs: TrustedDirs, scan: Scan, uuid: str, names: list[str], told: str | None) -> str:
    layout, config = dirs.layout, dirs.names(Kind.CONFIG)
    if told is not None:
        if told in names:
            return told
        raise Refused(
            layout.names[Kind.CONFIG].path,
            f"libvirt calls {uuid} {told!r}, which is none of {', '.join(map(repr, names))}",
            "restart the daemon and run again",
        )
    # While both configs are there, the files of either name are complete (libvirt writes all of
    # the new one's before its config, and removes the old one's after its config): the name
    # that was written last is the one that was asked for, but no choice loses anything.
    regular = [name for name in names if scan.configs.get(f"{name}.xml") is None]
    written = {}
    for name in regular:
        found = config.stat(f"{name}.xml") if config is not None else None
        if found is None:  # libvirt has finished the rename
            raise Changed(path_of(layout, name))
        written[name] = found.st_mtime_ns
    if written:
        return max(written, key=lambda name: (written[name], name))
    raise Refused(
        layout.names[Kind.CONFIG].path,
        f"cannot tell which of {', '.join(map(repr, names))} is the domain's name",
        "start the libvirt daemon and run again",
    )


def _retire(
    dirs: TrustedDirs, applier: Applier, uuid: str, winner: str, loser: str, config: Entry
) -> None:
    """libvirt's fifth step: config, autostart link, snapshot and checkpoint directories."""
    names = dirs.names(Kind.CONFIG)
    if names is None:
        return
    trashing = applier.trashing
    entry = f"{loser}.xml"
    try:
        autostart = names.child("autostart")
        link = mark = None
        if autostart is not None:
            with autostart:
                link, mark = autostart.look(entry), autostart.look(f"{loser}{ONCE}")
        if config.text is not None and names.link_text(f"{winner}.xml") is None:
            # The winner's document will replace this one in the store.
            trashing.copy(Kind.CONFIG, uuid, f"{uuid}.xml", Reason.LOST_A_RENAME)
        # The config goes first: while it is there, the name is the domain's.
        trashing.retire(Kind.CONFIG, uuid, names, entry, Reason.LOST_A_RENAME, config)
        autostart = names.child("autostart")
        if autostart is not None:
            with autostart:
                if link is not None and link.text is not None and names.look(entry) is None:
                    trashing.retire(Kind.CONFIG, uuid, autostart, entry, Reason.LOST_A_RENAME, link)
                if mark is not None and names.look(entry) is None:
                    _give_mark(dirs, applier, uuid, winner, loser, mark)
        for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
            _retire_metadata(dirs, applier, kind, uuid, loser)
    except OSError as error:
        raise SystemCallFailed(f"finish the rename of {loser!r} in", names.path, error) from error


def _give_mark(  # what is whose, and where
    dirs: TrustedDirs, applier: Applier, uuid: str, winner: str, loser: str, mark: Entry
) -> None:
    """A mark for one autostart under the losing name is the domain's: it goes to the other one.

    Unless another domain's note says that it is that one's, which had the name before.
    """
    entry, store = f"{loser}{ONCE}", dirs.store(Kind.CONFIG)
    note = store.look(uuid + ONCE_MARK) if store is not None else None
    if marked_once(entry, mark.text) is None or (mark.nlink > 1 and not mark.same_inode(note)):
        return
    names = dirs.names(Kind.CONFIG)
    autostart = names.child(AUTOSTART) if names is not None else None
    if autostart is None:
        return
    with autostart:
        there, here = autostart.look(winner + ONCE), autostart.look(entry)
    once = Once(winner + ONCE, there, mark, entry, here)
    draft = Draft(dirs.layout, View(uuid, winner, "config", once=once))
    plan_once(draft, keep=True)
    for step in draft.steps:
        applier.run(step)


def _retire_metadata(
    dirs: TrustedDirs, applier: Applier, kind: Kind, uuid: str, loser: str
) -> None:
    parent = dirs.names(kind)
    directory = parent.child(loser) if parent is not None else None
    if parent is None or directory is None:
        return
    with directory:
        if directory.status().st_uid not in dirs.trusted:
            return
        for entry in directory.list():
            applier.trashing.retire(kind, uuid, directory, entry, Reason.LOST_A_RENAME)
    change.remove_directory(parent, loser)
