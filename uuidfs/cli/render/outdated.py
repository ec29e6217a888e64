"""Outdated guests as text or versioned JSON."""

from collections.abc import Iterable

from uuidfs.cli.render.columns import PLAIN, Look, table, wrapped
from uuidfs.cli.render.text import as_json, count, problems_json
from uuidfs.errors import show
from uuidfs.layout.words import short_uuids
from uuidfs.outdated.results import Looked, Reason, ReasonKind
from uuidfs.survey.scan import Problem

_TEXTS = {
    ReasonKind.BINARY_REPLACED: ("binary", "replaced"),
    ReasonKind.BINARY_MISSING: ("binary", "removed"),
    ReasonKind.LIBRARY_REPLACED: ("library", "replaced"),
    ReasonKind.LIBRARY_MISSING: ("library", "removed"),
    ReasonKind.EMULATOR_CHANGED: ("emulator", "changed"),
    ReasonKind.EMULATOR_MISSING: ("emulator", "missing"),
}

ADVICE = "to move them to what is on disk, run: uuidfs local-migrate --outdated"


def outdated_lines(found: Looked, known: Iterable[str] = (), look: Look = PLAIN) -> list[str]:
    """A table of the outdated guests, and what to do. ``known``: the UUIDs of all domains; without
    these UUIDs are whole."""
    if not found.domains:
        if found.problems:
            return []  # nobody can say that there is none
        if not found.looked:
            return ["no guest runs"]
        return [f"none of {count(found.looked, 'running guest')} is outdated"]
    short = short_uuids(known)
    rows = [
        (show(one.name), short.get(one.uuid, one.uuid), str(one.pid), _reasons(one.reasons))
        for one in found.domains
    ]
    of = f"{len(found.domains)} of {count(found.looked, 'running guest')}"
    summary = wrapped(f"{of} outdated; {ADVICE}", look.width)
    return [*table([("NAME", "UUID", "PID", "REASON"), *rows], look), *summary]


def _reasons(reasons: tuple[Reason, ...]) -> str:
    """One path of each kind: an upgrade of a host may replace thirty libraries."""
    by_kind: dict[ReasonKind, list[str]] = {}
    for reason in reasons:
        by_kind.setdefault(reason.kind, []).append(reason.path)
    texts = []
    for kind, paths in by_kind.items():
        noun, what = _TEXTS[kind]
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        texts.append(f"{noun} {what}: {show(paths[0])}{more}")
    return "; ".join(texts)


def outdated_errors(problems: Iterable[Problem]) -> list[str]:
    """One line each for what could not be looked at."""
    return [f"uuidfs: {show(p.name or p.path)}: {p.path}: {p.reason}" for p in problems]


def outdated_json(found: Looked) -> str:
    """outdated."""
    return as_json(
        domains=[
            {
                "name": one.name,
                "uuid": one.uuid,
                "pid": one.pid,
                "reasons": [{"kind": r.kind.value, "path": r.path} for r in one.reasons],
                "emulator": one.emulator,
            }
            for one in found.domains
        ],
        looked=found.looked,
        problems=problems_json(found.problems),
    )
