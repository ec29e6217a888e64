"""Finishes a rename that a crash cut in half: two names, two configs, one UUID.

libvirt (9.0 and 11.3) writes new.xml as its fourth step and removes old.xml as its fifth.
What is left to do is that fifth step, for the name that lost.
"""

from collections.abc import Callable
from dataclasses import dataclass

from uuidfs.apply.applier import Applier
from uuidfs.convert.results import Options
from uuidfs.errors import Changed, Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind, Layout
from uuidfs.layout.trash_label import Reason
from uuidfs.runtime.domain_locks import Locks
from uuidfs.survey.scan import Scan
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor


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
        winner = _winner(dirs, scan, uuid, names, ask(layout, uuid))
        losers = tuple(name for name in names if name != winner)
        with Applier(dirs, options.by) as applier:
            for loser in losers:
                _retire(dirs, applier, uuid, loser)
        return FinishedRename(uuid, winner, losers)


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
            raise Changed(f"{layout.names[Kind.CONFIG].path}/{name}.xml")
        written[name] = found.st_mtime_ns
    if written:
        return max(written, key=lambda name: (written[name], name))
    raise Refused(
        layout.names[Kind.CONFIG].path,
        f"cannot tell which of {', '.join(map(repr, names))} is the domain's name",
        "start the libvirt daemon and run again",
    )


def _retire(dirs: TrustedDirs, applier: Applier, uuid: str, loser: str) -> None:
    """libvirt's fifth step: config, autostart link, snapshot and checkpoint directories."""
    config = dirs.names(Kind.CONFIG)
    if config is None:
        return
    retire = applier.trashing.retire
    try:
        # The config goes first: while it is there, the name is the domain's.
        retire(Kind.CONFIG, uuid, config, f"{loser}.xml", Reason.LOST_A_RENAME)
        autostart = config.child("autostart")
        if autostart is not None:
            with autostart:
                for entry in (f"{loser}.xml", f"{loser}.xml.once"):
                    change.unlink(autostart, entry)
        for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
            _retire_metadata(dirs, applier, kind, uuid, loser)
    except OSError as error:
        raise SystemCallFailed(f"finish the rename of {loser!r} in", config.path, error) from error


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
