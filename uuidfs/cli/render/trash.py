"""How the trash and the configuration look, as text or versioned JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from uuidfs.cli.render.columns import PLAIN, Look, table
from uuidfs.cli.render.text import as_json, count
from uuidfs.errors import show
from uuidfs.keepsakes.sources import AUTOSTART, SAVE
from uuidfs.layout.names import stored_log
from uuidfs.layout.places import KEPT, Kind, Layout
from uuidfs.layout.words import short_uuids, shortest
from uuidfs.survey.scan import Problem
from uuidfs.trash.empty import EmptyResult
from uuidfs.trash.entries import Bin, Shown, TrashEntry, path_of
from uuidfs.trash.listing import Listing
from uuidfs.trash.restore import RestoreResult


def when_text(moment: datetime) -> str:
    """A moment in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def minute_text(moment: datetime) -> str:
    """The same for people, to the minute."""
    return moment.strftime("%Y-%m-%d %H:%M")


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
            {
                **_entry_json(layout, e),
                "name": result.names.get(e.uuid),
                "last_name": result.name_of(e.uuid),
            }
            for e in result.entries
        ],
        problems=_problems_json(result.strangers),
    )


def listing_lines(result: Listing, look: Look = PLAIN, domains: Sequence[str] = ()) -> list[str]:
    """A table, newest last: which file of which domain, and why it is here. ``domains``: those
    that were asked for."""
    if not result.entries:
        if result.strangers:
            return []
        asked = ", ".join(show(each) for each in domains)
        return [f"nothing of {asked} is in the trash" if domains else "the trash is empty"]
    if look.wide:
        return table([_WIDE, *(_wide_row(result, entry) for entry in result.entries)], look)
    ids = shortest(result.ids)
    uuids = short_uuids(result.uuids)
    rows = [
        (
            ids[e.id],
            minute_text(e.when),
            show(result.name_of(e.uuid) or uuids[e.uuid]),
            reason_text(e.reason),
            what_text(e.kind, e.file),
        )
        for e in result.entries
    ]
    return table([("ID", "WHEN (UTC)", "DOMAIN", "WHY", "WHAT"), *rows], look, shrink=2)


_WIDE = ("WHEN", "UUID", "NAME", "KIND", "FILE", "REASON", "BY", "SIZE", "ID")


def _wide_row(result: Listing, entry: TrashEntry) -> tuple[str, ...]:
    return (
        when_text(entry.when),
        entry.uuid,
        show(result.name_of(entry.uuid) or "-"),
        entry.kind.value,
        show(entry.file),
        show(entry.reason),
        entry.by or "-",
        str(entry.size),
        entry.id,
    )


def reason_text(reason: str) -> str:
    """``deleted by libvirt``."""
    return show(reason).replace("-", " ")


def what_text(kind: Bin, file: str) -> str:
    """What of a domain a file is: ``snapshot nightly``, ``log .1``, ``managed save``."""
    if kind is KEPT:
        return _KEEPSAKES.get(file.split("~", maxsplit=1)[0]) or show(file)
    if kind is Kind.CONFIG:
        return "config"
    if kind is Kind.LOG:
        stored = stored_log(file)
        suffix = stored[1].strip("~").replace("~", " ") if stored is not None else file
        return f"log {show(suffix)}".rstrip()
    return f"{kind.value} {show(file.removesuffix('.xml'))}"


_KEEPSAKES = {
    AUTOSTART: "mark for autostart",
    SAVE: "managed save",
    "nvram": "NVRAM",
    "tpm": "TPM state",
}


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
    """A summary; in a dry run each path before it."""
    if not result.removed:
        return [] if result.problems else ["nothing to remove"]
    size = sum(entry.size for entry in result.removed)
    what = f"{count(len(result.removed), 'file')}, {count(size, 'byte')}"
    if result.dry_run:
        paths = [show(path_of(layout, entry)) for entry in result.removed]
        return [*(f"remove: {path}" for path in paths), f"{what} would be removed"]
    return [f"{what} removed"]
