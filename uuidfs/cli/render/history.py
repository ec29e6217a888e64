"""How a domain's history looks, as text or versioned JSON."""

from datetime import UTC, datetime
from typing import Any

from uuidfs.cli.render.columns import PLAIN, Look, table
from uuidfs.cli.render.text import as_json
from uuidfs.errors import show
from uuidfs.history.events import Event, History


def history_json(result: History) -> str:
    """history."""
    return as_json(
        uuid=result.uuid,
        name=result.name,
        former_names=list(result.former),
        events=[_event_json(event) for event in result.events],
        journal=result.journal or None,
        problems=[{"path": p.path, "reason": p.reason} for p in result.problems],
    )


def _event_json(event: Event) -> dict[str, Any]:
    return {
        "time": _moment(event.when),
        "event": event.what.value,
        "name": event.name,
        "text": event.text,
        "origin": event.origin.value,
        "path": event.path or None,
    }


def history_lines(result: History, look: Look = PLAIN) -> list[str]:
    """Who it is, its former names, and a table of events, oldest first."""
    lines = [f"{show(result.name or '-')}  {result.uuid or '-'}"]
    if result.former:
        lines.append(f"formerly: {', '.join(show(name) for name in result.former)}")
    if result.events:
        rows = [
            (
                _moment(event.when) or "-",
                event.what.value,
                show(event.name or "-"),
                event.origin.value,
                show(event.text),
            )
            for event in result.events
        ]
        lines += table([("WHEN", "EVENT", "NAME", "ORIGIN", "WHAT"), *rows], look, shrink=2)
    else:
        lines.append("no events")
    return lines


def history_errors(result: History) -> list[str]:
    """What could not be read."""
    lines = [f"uuidfs: {show(p.path)}: {show(p.reason)}" for p in result.problems]
    return [*lines, f"uuidfs: {show(result.journal)}"] if result.journal else lines


def _moment(when: float | None) -> str | None:
    if when is None:
        return None
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
