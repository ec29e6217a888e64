"""What has happened to a domain, by what is on disk: logs, trash, files' times, a session.

docs/operations.md, "What history knows", says where each event comes from, and what is lost when.
"""

import stat
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from uuidfs.files.directory import Directory, opened
from uuidfs.history.log_events import Start, marks
from uuidfs.history.logs import Chain, Logs, Subject
from uuidfs.history.read_log import Tell, chunks
from uuidfs.history.subject import names_of
from uuidfs.layout.names import config_target
from uuidfs.layout.places import Kind
from uuidfs.runtime import sessions
from uuidfs.survey.scan import Problem, Scan
from uuidfs.trash.entries import named, path_of, survey


class What(Enum):
    """The value is what people and JSON see."""

    NAMED = "named"
    """The first start that the log has, and the name."""
    RENAMED = "renamed"
    """The first start under another name; the rename was between the start before and this one."""
    LEFT = "left"
    """Its QEMU ended because the guest had moved to another one."""
    ARRIVED = "arrived"
    """A QEMU was started to receive the guest: by a migration, a trip or from a save."""
    TRIP = "trip"
    """A local migration."""
    CONVERTED = "converted"
    """A link of uuidfs's was put at the name, the last time."""
    SAVED = "saved"
    """libvirt wrote the config, the last time."""
    WRITTEN = "written"
    """QEMU or libvirt wrote to the log, the last time."""
    TRASHED = "trashed"
    """uuidfs put a file into the trash."""
    NOTED = "noted"
    """Something else that the journal has of this domain."""


class Origin(Enum):
    """Who says so."""

    LOG = "log"
    TRASH = "trash"
    FILE = "file"
    SESSION = "session"
    JOURNAL = "journal"


class Event(NamedTuple):
    """``when`` in seconds since the epoch, None where it is not known; ``name`` of the domain at
    that time, where the origin says it; ``path`` of what says so."""

    when: float | None
    what: What
    name: str | None
    text: str
    origin: Origin
    path: str = ""


class History(NamedTuple):
    """Events, oldest first, those without a time before all others; ``former`` names in the order
    in which they were first seen; ``journal``: why there is nothing of it, "" where it was read."""

    uuid: str | None
    name: str | None
    former: tuple[str, ...]
    events: tuple[Event, ...]
    journal: str
    problems: tuple[Problem, ...]


def on_disk(logs: Logs, subject: Subject, tell: Tell) -> list[Event]:
    """All events that files tell of, in no order. Raises SystemCallFailed and Refused."""
    scan = logs.scan()
    with logs.chain(subject, names_of(scan, subject)) as chain:
        chain.arrange()
        for problem in chain.problems:
            tell(problem)
        found = _of_log(chain, tell)
    if subject.uuid is not None:
        found += _of_links(logs, scan, subject.uuid)
        found += _of_config(logs, subject)
        found += _of_trash(logs, subject.uuid)
        found += _of_session(logs, subject.uuid)
    return found


def in_time(events: Iterable[Event]) -> tuple[Event, ...]:
    """Oldest first."""
    return tuple(sorted(events, key=lambda e: float("-inf") if e.when is None else e.when))


def former_names(events: Iterable[Event], name: str | None) -> tuple[str, ...]:
    """The names in some events, but for the present one, each once."""
    found = dict.fromkeys(event.name for event in events if event.name is not None)
    return tuple(each for each in found if each != name)


def _of_log(chain: Chain, tell: Tell) -> list[Event]:
    found: list[Event] = []
    last: str | None = None
    for mark in marks(chunks(chain.files, tell)):
        if isinstance(mark, Start):
            if last is None:
                found.append(_logged(mark.when, What.NAMED, mark.name, "first start in the log"))
            elif mark.name != last:
                text = f"first start that is no longer called {last}"
                found.append(_logged(mark.when, What.RENAMED, mark.name, text))
            if mark.incoming:
                text = "QEMU started to receive the guest"
                found.append(_logged(mark.when, What.ARRIVED, mark.name, text))
            last = mark.name
        elif mark.reason == "migrated":
            text = "QEMU ended, the guest had moved to another"
            found.append(_logged(mark.when, What.LEFT, last, text))
    if chain.files:
        newest = max(chain.files, key=lambda file: file.mtime)
        text = "the log, the last time"
        found.append(Event(newest.mtime, What.WRITTEN, None, text, Origin.FILE, newest.path))
    return found


def _logged(when: float | None, what: What, name: str | None, text: str) -> Event:
    return Event(when, what, name, text, Origin.LOG)


def _of_links(logs: Logs, scan: Scan, uuid: str) -> list[Event]:
    """When a link of ours was put at a name: links are replaced, and never written."""
    found = []
    configs, at_names = logs.dirs.names(Kind.CONFIG), logs.dirs.names(Kind.LOG)
    for entry, text in scan.configs.items():
        if configs is not None and text is not None and config_target(text) == uuid:
            found += _of_link(configs, entry, ".xml", "config")
    for entry in scan.logs_of_uuid.get(uuid, ()):
        if at_names is not None and entry.endswith(".log"):  # the others tell of rotations
            found += _of_link(at_names, entry, ".log", "log")
    return found


def _of_link(directory: Directory, entry: str, end: str, kind: str) -> list[Event]:
    status = directory.stat(entry)
    if status is None:
        return []
    name, text = entry.removesuffix(end), f"link of the {kind}, the last time"
    path = directory.at(entry)
    return [Event(status.st_mtime, What.CONVERTED, name, text, Origin.FILE, path)]


def _of_config(logs: Logs, subject: Subject) -> list[Event]:
    """The config's own time: libvirt replaces the file at each save."""
    for directory, entry in (
        (logs.dirs.names(Kind.CONFIG), f"{subject.name}.xml"),
        (logs.dirs.store(Kind.CONFIG), f"{subject.uuid}.xml"),
    ):
        status = directory.stat(entry) if directory is not None else None
        if directory is not None and status is not None and stat.S_ISREG(status.st_mode):
            path, text = directory.at(entry), "the config, the last time"
            return [Event(status.st_mtime, What.SAVED, None, text, Origin.FILE, path)]
    return []


def _of_trash(logs: Logs, uuid: str) -> list[Event]:
    found = []
    for entry in survey(logs.dirs)[0]:
        if entry.uuid != uuid:
            continue
        name = named(logs.dirs, entry, logs.reader) if entry.kind is Kind.CONFIG else None
        by = f" by {entry.by}" if entry.by else ""
        text = f"{entry.kind.value} {entry.file}: {entry.reason}{by}"
        path = path_of(logs.layout, entry)
        found.append(Event(entry.when.timestamp(), What.TRASHED, name, text, Origin.TRASH, path))
    return found


def _of_session(logs: Logs, uuid: str) -> list[Event]:
    """A local migration that is not over, and what an earlier boot left of one."""
    found = []
    session = sessions.read(logs.layout, uuid)
    if session is not None:
        text = f"under way (phase {session.phase}, {session.tool}, process {session.pid})"
        if not session.alive:
            text = f"without an owner (phase {session.phase}): uuidfs local-migrate --recover"
        if session.new_name is not None:
            text += f", to be called {session.new_name}"
        path = sessions.path_of(logs.layout, uuid)
        found.append(Event(session.since, What.TRIP, session.name, text, Origin.SESSION, path))
    aside = opened(logs.layout.aside)
    if aside is not None:
        with aside:
            found += _kept_aside(aside, uuid)
    return found


def _kept_aside(aside: Directory, uuid: str) -> list[Event]:
    status = aside.stat(f"{uuid}.json")
    if status is None:
        return []
    text = "snapshots and checkpoints are kept aside until the guest is home"
    path = aside.at(f"{uuid}.json")
    return [Event(status.st_mtime, What.TRIP, None, text, Origin.SESSION, path)]
