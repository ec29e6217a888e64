"""How ``uuidfs undelete`` looks, as text or versioned JSON."""

import shlex
from typing import Any

from uuidfs.cli.render.columns import PLAIN, Look, table
from uuidfs.cli.render.text import as_json, count
from uuidfs.cli.render.trash import minute_text, problem_lines, when_text
from uuidfs.errors import show
from uuidfs.layout.places import KEPT, Kind
from uuidfs.layout.words import short_uuids
from uuidfs.survey.scan import Problem
from uuidfs.undelete.candidates import Candidate, Found
from uuidfs.undelete.results import Action, Step, UndeleteResult

__all__ = [
    "listing_json",
    "listing_lines",
    "problem_lines",
    "result_errors",
    "result_json",
    "result_lines",
]

_WORDS = {Action.SNAPSHOT: "snapshot", Action.CHECKPOINT: "checkpoint"}


def listing_json(found: Found) -> str:
    """undelete without a domain."""
    return as_json(
        domains=[_candidate(one) for one in found.candidates],
        problems=_problems(found.problems),
    )


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "uuid": one.uuid,
        "name": one.name,
        "when": when_text(one.when) if one.when is not None else None,
        "begun": one.begun,
        "running": one.running,
        "parts": [{"kind": part.kind.value, "path": part.path} for part in one.parts],
    }


def _problems(problems: tuple[Problem, ...]) -> list[dict[str, Any]]:
    return [{"path": p.path, "reason": p.reason} for p in problems]


def listing_lines(found: Found, look: Look = PLAIN) -> list[str]:
    """A table, the last undefined last."""
    if not found.candidates:
        return [] if found.problems else ["no domain can come back"]
    uuids = short_uuids([*found.uuid_of.values(), *(one.uuid for one in found.candidates)])
    rows = [
        (
            minute_text(one.when) if one.when is not None else "just now",
            show(one.name),
            one.uuid if look.wide else uuids[one.uuid],
            _parts(one),
        )
        for one in found.candidates
    ]
    return table([("UNDEFINED (UTC)", "DOMAIN", "UUID", "WHAT THERE IS"), *rows], look, shrink=1)


def _parts(one: Candidate) -> str:
    words = ["config"]
    words += [
        count(len(parts), kind.value)
        for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT)
        if (parts := one.of(kind))
    ]
    words += list(dict.fromkeys(part.file.split("~")[0] for part in one.of(KEPT)))
    if one.begun:
        words.append("(an undelete was cut off)")
    elif one.running:
        words.append("(its guest runs)")
    return ", ".join(words)


def result_json(result: UndeleteResult) -> str:
    """undelete of a domain."""
    return as_json(
        dry_run=result.dry_run,
        uuid=result.uuid,
        name=result.name,
        steps=[
            {"action": step.action.value, "subject": step.subject, "current": step.current}
            for step in result.steps
        ],
        stays=_problems(result.stays),
        left=_problems(result.left),
    )


def result_lines(result: UndeleteResult) -> list[str]:
    """In a dry run each step, with virsh's words where virsh does it; else what is back."""
    if result.dry_run:
        lines = [_planned(result.name, step) for step in result.steps]
        return [*lines, f"{show(result.name)} would be back"]
    parts = [
        count(number, word)
        for action, word in _WORDS.items()
        if (number := sum(step.action is action for step in result.steps))
    ]
    parts += [step.subject for step in result.steps if step.action is Action.PUT_BACK]
    parts += [step.action.value for step in result.steps if step.action is Action.AUTOSTART]
    return [f"{show(result.name)} is back" + (f", with {', '.join(parts)}" if parts else "")]


def _planned(name: str, step: Step) -> str:
    match step.action:
        case Action.PUT_BACK:
            return f"put back: {show(step.subject)}"
        case Action.FORGET:
            return f"out of the trash: {show(step.subject)}"
        case Action.DEFINE:
            return f"virsh define: {show(step.subject)}"
        case Action.AUTOSTART:
            return f"virsh autostart {shlex.quote(show(name))}"
        case _:
            flags = "--redefine --current" if step.current else "--redefine"
            words = f"virsh {step.action.value}-create {shlex.quote(show(name))} {flags}"
            return f"{words}: {show(step.subject)}"


def result_errors(result: UndeleteResult) -> list[str]:
    """What stays in the trash, and what should not have."""
    return problem_lines((*result.stays, *result.left))
