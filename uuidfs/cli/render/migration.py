"""Results of local migrations and sessions as text or versioned JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from uuidfs.cli.render.columns import table
from uuidfs.cli.render.text import as_json, as_json_line, count
from uuidfs.errors import show
from uuidfs.localmigration.results import (
    CAN_MOVE,
    COUNTED,
    MOVED,
    NOT_BEGUN,
    UP_TO_DATE,
    Guest,
    OperationResult,
    TripResult,
)
from uuidfs.runtime.sessions import Session

if TYPE_CHECKING:
    from uuidfs.localmigration.hop import HopProgress


def trip_lines(results: Sequence[TripResult]) -> list[str]:
    """One line a domain."""
    return [_line(r) for r in results if r.error is None]


def _line(result: TripResult) -> str:
    name = show(result.name)
    if result.outcome in {CAN_MOVE, UP_TO_DATE}:
        return f"{name}: {_words(result.outcome)}"
    if result.where == "gone":
        return f"{name}: the guest has ended; its session is closed"
    if not result.downtimes:
        return f"{name}: {result.where or 'done'}"
    times = " and ".join(f"{each} ms" for each in result.downtimes)
    moved = f"{name}: moved in {result.seconds:.1f} s, downtime {times}"
    return f"{moved}; not confined between the hops" if result.unconfined else moved


def at_it_line(session: Session) -> str:
    """For --recover, where an owner is alive."""
    return (
        f"uuidfs: {show(session.name)}: process {session.pid} ({show(session.tool)}) is at it, "
        f"in phase {session.phase}"
    )


def trip_errors(results: Sequence[TripResult]) -> list[str]:
    """One line a domain that did not move."""
    return [f"uuidfs: {show(r.name)}: {r.error}" for r in results if r.error is not None]


def trips_json(results: Sequence[TripResult]) -> str:
    """rename, and local-migrate --recover."""
    return as_json(domains=[r._asdict() for r in results])


def summary_lines(result: OperationResult, *, dry_run: bool) -> list[str]:
    """How many had which outcome, and how long it took."""
    outcomes = [each for each in COUNTED if each != (MOVED if dry_run else CAN_MOVE)]
    heads = [_words(outcome) for outcome in outcomes]
    cells = [str(result.count(outcome)) for outcome in outcomes]
    if not dry_run:
        longest = result.longest_downtime
        heads += ["time", "longest downtime"]
        cells += [clock(result.seconds), "-" if longest is None else f"{longest} ms"]
    return ["", *table([tuple(heads), tuple(cells)])]


def stopped_lines(result: OperationResult, *, resumes: bool) -> list[str]:
    """What to do about an operation that ended early. ``resumes``: the same command leaves out
    those that have moved."""
    left = result.count(NOT_BEGUN)
    if not left:
        return []
    option = "" if resumes else f" with --started-before {moment(result.began)}"
    return [f"uuidfs: {count(left, 'guest')} not begun; to go on, run this again{option}"]


def operation_json(result: OperationResult) -> str:
    """local-migrate."""
    return as_json(**_operation(result))


def result_line(result: OperationResult) -> str:
    """The last line of local-migrate --progress: the same object, with its event."""
    return as_json_line(event="result", **_operation(result))


def begun_json(pid: int, guests: int) -> str:
    """The first line of local-migrate --progress."""
    return as_json_line(event="begun", pid=pid, guests=guests)


def progress_json(guest: Guest, hop: "HopProgress | None", waiting: int) -> str:
    """How far a guest is; "begins" until there is a hop. Sizes in bytes, ``downtime`` in ms."""
    figures = hop._asdict() if hop is not None else {}
    figures.pop("number", None)
    return as_json_line(
        event="progress",
        name=guest.name,
        uuid=guest.uuid,
        way=hop.way if hop is not None else "begins",
        waiting=waiting,
        **figures,
    )


def ended_json(trip: TripResult) -> str:
    """One trip of local-migrate --progress is over."""
    return as_json_line(event="ended", domain=trip._asdict())


def _operation(result: OperationResult) -> dict[str, Any]:
    counts = {outcome: result.count(outcome) for outcome in COUNTED}
    summary = {
        **counts,
        "began": result.began,
        "seconds": result.seconds,
        "longest_downtime": result.longest_downtime,
        "stopped": result.stopped or None,
    }
    return {"domains": [r._asdict() for r in result.trips], "summary": summary}


def clock(seconds: float) -> str:
    """``2.1 s``, ``1:05 min``, ``2:01:05 h``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"


def moment(epoch: float) -> str:
    """A time as --started-before reads it: ISO 8601 with the offset, to the millisecond."""
    return datetime.fromtimestamp(epoch).astimezone().isoformat(timespec="milliseconds")


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")


def session_lines(sessions: list[Session]) -> list[str]:
    """One line a session."""
    return [
        f"{s.uuid}  {show(s.name)}  {s.phase}  pid {s.pid} "
        f"({'running' if s.alive else 'dead'})  {show(s.tool)}"
        for s in sessions
    ] or ["no sessions"]


def sessions_json(sessions: list[Session]) -> str:
    """session list."""
    return as_json(sessions=[{**s._asdict(), "alive": s.alive} for s in sessions])
