"""Results of local migrations and sessions as text or versioned JSON."""

from typing import TYPE_CHECKING

from uuidfs.cli.render.text import as_json
from uuidfs.errors import show
from uuidfs.runtime.sessions import Session

if TYPE_CHECKING:
    from uuidfs.localmigration.migrate import TripResult


def trip_lines(results: "list[TripResult]", *, dry_run: bool = False) -> list[str]:
    """One line a domain."""
    return [_line(r, dry_run=dry_run) for r in results if r.error is None]


def _line(result: "TripResult", *, dry_run: bool) -> str:
    name = show(result.name)
    if dry_run:
        return f"{name}: can move"
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


def trip_errors(results: "list[TripResult]") -> list[str]:
    """One line a domain that did not move."""
    return [f"uuidfs: {show(r.name)}: {r.error}" for r in results if r.error is not None]


def trips_json(results: "list[TripResult]") -> str:
    """local-migrate and rename."""
    return as_json(domains=[r._asdict() for r in results])


def session_lines(sessions: list[Session]) -> list[str]:
    """One line a session."""
    return [
        f"{s.uuid}  {show(s.name)}  {s.phase}  pid {s.pid} "
        f"({'running' if s.alive else 'dead'})  {show(s.tool)}"
        for s in sessions
    ]


def sessions_json(sessions: list[Session]) -> str:
    """session list."""
    return as_json(sessions=[{**s._asdict(), "alive": s.alive} for s in sessions])
