"""The names that domains had before: of many domains at once, for a list of them."""

from collections.abc import Iterable
from typing import NamedTuple

from uuidfs.errors import UuidfsError
from uuidfs.history.log_events import starts
from uuidfs.history.logs import Logs, Subject
from uuidfs.history.read_log import chunks
from uuidfs.history.subject import names_of
from uuidfs.layout.places import Kind, Layout
from uuidfs.survey.scan import Problem, Scan
from uuidfs.trash.entries import named, survey


class Former(NamedTuple):
    """Former names by UUID, in the order in which they were first seen, for those domains that had
    any; and what could not be read."""

    names: dict[str, tuple[str, ...]]
    problems: tuple[Problem, ...]


def former_of(layout: Layout, uuids: Iterable[str]) -> Former:
    """Read the logs of these domains, with all rotations, and their configs in the trash.

    These are the names that :func:`uuidfs.history.of_domain.history` finds on disk, without the
    journal. A log that cannot be read is a problem of that domain. Changes nothing. Raises
    SystemCallFailed when not even the configs can be listed, and Refused.
    """
    found: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    with Logs(layout) as logs:
        scan = logs.scan()
        trashed = _in_trash(logs)
        for uuid in dict.fromkeys(uuids):
            names = scan.names_of.get(uuid, [])
            seen = dict.fromkeys(_in_log(logs, scan, uuid, problems))
            seen |= dict.fromkeys(trashed.get(uuid, ()))
            former = tuple(name for name in seen if name not in names)
            if former:
                found[uuid] = former
    return Former(found, tuple(dict.fromkeys(problems)))


def _in_log(logs: Logs, scan: Scan, uuid: str, problems: list[Problem]) -> list[str]:
    names = scan.names_of.get(uuid, [])
    subject = Subject(uuid, names[0] if names else None)
    try:
        with logs.chain(subject, names_of(scan, subject)) as chain:
            chain.arrange()
            problems += chain.problems
            return [start.name for start in starts(chunks(chain.files, problems.append))]
    except UuidfsError as error:
        problems.append(Problem(error.path, error.reason, subject.name))
        return []


def _in_trash(logs: Logs) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in survey(logs.dirs)[0]:
        if entry.kind is Kind.CONFIG and (name := named(logs.dirs, entry, logs.reader)):
            found.setdefault(entry.uuid, []).append(name)
    return found
