"""A domain's history, put together from what is on disk and in the journal."""

from uuidfs.history import journal
from uuidfs.history.events import History, former_names, in_time, on_disk
from uuidfs.history.logs import Logs
from uuidfs.history.subject import find
from uuidfs.layout.places import Layout
from uuidfs.survey.scan import Problem


def history(layout: Layout, word: str) -> History:
    """All events of the domain that ``word`` means, and the names that it had.

    Changes nothing. Raises NoSuchDomain, UsageError, SystemCallFailed and Refused.
    """
    problems: list[Problem] = []
    with Logs(layout) as logs:
        subject = find(logs, word)
        found = on_disk(logs, subject, problems.append)
    if not layout.live:
        why = "the journal was not read: it is this host's, and the files are not"
    elif subject.uuid is None:
        why = "the journal was not read: it knows domains by their UUIDs"
    else:
        read = journal.of_domain(subject.uuid)
        found += read.events
        why = read.reason
    events = in_time(found)
    return History(
        subject.uuid,
        subject.name,
        former_names(events, subject.name),
        events,
        why,
        tuple(dict.fromkeys(problems)),
    )
