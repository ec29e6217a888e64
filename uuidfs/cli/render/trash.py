"""How the trash and the configuration look, as text or versioned JSON."""

from datetime import datetime
from typing import Any

from uuidfs.cli.render.text import as_json, count, table
from uuidfs.errors import show
from uuidfs.layout.places import Layout
from uuidfs.survey.scan import Problem
from uuidfs.trash.empty import EmptyResult
from uuidfs.trash.entries import Listing, Shown, TrashEntry, path_of
from uuidfs.trash.restore import RestoreResult


def when_text(moment: datetime) -> str:
    """A moment in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _entry_json(layout: Layout, entry: TrashEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "kind": entry.kind.value,
        "uuid": entry.uuid,
        "when": when_text(entry.when),
        "reason": entry.reason,
        "by": entry.by or None,
        "file": entry.file,
        "size": entry.size,
        "path": path_of(layout, entry),
    }


def _problems_json(problems: tuple[Problem, ...]) -> list[dict[str, Any]]:
    return [{"path": p.path, "reason": p.reason} for p in problems]


def problem_lines(problems: tuple[Problem, ...]) -> list[str]:
    """What goes to stderr about things that are left alone."""
    return [f"uuidfs: {show(p.path)}: {show(p.reason)}" for p in problems]


def listing_json(layout: Layout, result: Listing) -> str:
    """trash list."""
    return as_json(
        entries=[
            {**_entry_json(layout, e), "name": result.names.get(e.uuid)} for e in result.entries
        ],
        problems=_problems_json(result.strangers),
    )


def listing_lines(result: Listing) -> list[str]:
    """A table, newest last; nothing when the trash is empty."""
    if not result.entries:
        return []
    header = ("WHEN", "UUID", "NAME", "KIND", "FILE", "REASON", "BY", "SIZE", "ID")
    rows = [
        (
            when_text(e.when),
            e.uuid,
            show(result.names.get(e.uuid, "-")),
            e.kind.value,
            show(e.file),
            show(e.reason),
            e.by or "-",
            str(e.size),
            e.id,
        )
        for e in result.entries
    ]
    return table([header, *rows])


def shown_json(layout: Layout, result: Shown) -> str:
    """trash show."""
    return as_json(entry=_shown(layout, result))


def _shown(layout: Layout, result: Shown) -> dict[str, Any]:
    return {
        **_entry_json(layout, result.entry),
        "name": result.name,
        "document": result.document,
        "modified": when_text(result.modified),
        "owner": result.owner,
        "group": result.group,
        "mode": f"{result.mode:04o}",
    }


def shown_lines(layout: Layout, result: Shown) -> list[str]:
    """One line a field."""
    fields = _shown(layout, result)
    return [
        f"{name + ':':<10}{show(str(value))}" for name, value in fields.items() if value is not None
    ]


def restored_json(layout: Layout, result: RestoreResult) -> str:
    """trash restore."""
    return as_json(
        entry=_entry_json(layout, result.entry) | {"path": None},
        path=result.path,
        name=result.name,
        advice=result.advice or None,
    )


def restored_lines(result: RestoreResult) -> list[str]:
    """Where it is, and that libvirt does not know it yet."""
    lines = [f"restored {show(result.path)}"]
    if result.advice:
        lines.append(f"libvirt has not read it yet: {show(result.advice)}")
    return lines


def emptied_json(layout: Layout, result: EmptyResult) -> str:
    """trash empty."""
    return as_json(
        dry_run=result.dry_run,
        removed=[_entry_json(layout, e) for e in result.removed],
        problems=_problems_json(result.problems),
    )


def emptied_lines(layout: Layout, result: EmptyResult) -> list[str]:
    """A summary; in a dry run each path before it. Nothing when there was nothing to do."""
    if not result.removed:
        return []
    size = sum(entry.size for entry in result.removed)
    what = f"{count(len(result.removed), 'file')}, {count(size, 'byte')}"
    if result.dry_run:
        paths = [show(path_of(layout, entry)) for entry in result.removed]
        return [*(f"remove: {path}" for path in paths), f"{what} would be removed"]
    return [f"{what} removed"]
