"""Which domain a word means: also one that is gone, and one that was called so before."""

from collections.abc import Iterable

from uuidfs.errors import AmbiguousDomain, NoSuchDomain, UsageError, UuidfsError, show
from uuidfs.history.log_events import starts
from uuidfs.history.logs import Logs, Subject
from uuidfs.history.read_log import chunks
from uuidfs.layout.names import log_target, normal_uuid
from uuidfs.layout.places import Kind
from uuidfs.layout.words import beginning_so
from uuidfs.survey.resolve import resolve
from uuidfs.survey.scan import Problem, Scan
from uuidfs.trash.entries import TrashEntry, named, survey


def find(logs: Logs, word: str) -> Subject:
    """The domain of a name, a UUID, how a UUID begins, or a former name.

    A domain that has the name now comes first, then the one whose log the name still leads to.
    A former name that several domains had is refused: UsageError, with their UUIDs. Raises
    NoSuchDomain, AmbiguousDomain, SystemCallFailed and Refused.
    """
    try:
        return Subject(*resolve(logs.layout, word))
    except NoSuchDomain as error:
        scan = logs.scan()
        if any(problem.name == word for problem in scan.problems):
            raise
        unknown = error
    logs.dirs.names(Kind.LOG)  # said first, where this user may not read
    trashed = survey(logs.dirs)[0]
    uuid = normal_uuid(word) if len(word) >= 32 else None
    if uuid is not None and any(entry.uuid == uuid for entry in trashed):
        return _subject(scan, uuid)
    at_name = {log_target(scan.logs[entry] or "") for _, entry in scan.logs_of_name.get(word, ())}
    owners = {target[0] for target in at_name if target is not None}
    if not owners and at_name:
        return Subject(None, word)  # a plain file, and no domain has the name
    if len(owners) != 1:
        owners |= _in_trash(logs, trashed, word) | _in_logs(logs, scan, trashed, word)
    if len(owners) > 1:
        raise UsageError(
            f"{show(word)!r} is a former name of several domains; give one of their UUIDs: "
            + ", ".join(sorted(owners))
        )
    if not owners:
        owners = set(beginning_so({entry.uuid for entry in trashed}, word))
        if len(owners) > 1:
            raise AmbiguousDomain(word, [(uuid, None) for uuid in sorted(owners)])
    if not owners:
        raise unknown
    return _subject(scan, owners.pop())


def names_of(scan: Scan, subject: Subject) -> tuple[str, ...]:
    """The names at which libvirt looks for a domain's log: two while a rename is under way."""
    if subject.uuid is None:
        return (subject.name,) if subject.name is not None else ()
    return tuple(scan.names_of.get(subject.uuid, ()))


def _subject(scan: Scan, uuid: str) -> Subject:
    names = scan.names_of.get(uuid, [])
    return Subject(uuid, names[0] if names else None)


def _in_trash(logs: Logs, trashed: Iterable[TrashEntry], name: str) -> set[str]:
    configs = (entry for entry in trashed if entry.kind is Kind.CONFIG)
    return {entry.uuid for entry in configs if named(logs.dirs, entry, logs.reader) == name}


def _in_logs(logs: Logs, scan: Scan, trashed: Iterable[TrashEntry], name: str) -> set[str]:
    """The domains that were started under a name, by their logs. Reads all logs, last of all."""
    uuids = set(scan.log_store) | {entry.uuid for entry in trashed if entry.kind is Kind.LOG}
    found = set()
    for uuid in sorted(uuids):
        try:
            with logs.chain(Subject(uuid, None), ()) as chain:
                if any(start.name == name for start in starts(chunks(chain.files, _nobody))):
                    found.add(uuid)
        except UuidfsError:
            continue  # of another domain, and broken
    return found


def _nobody(_: Problem) -> None:
    """Hears nothing: these are other domains' logs."""
