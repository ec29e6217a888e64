"""Turns results into text or versioned JSON; the only module that knows how they look."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from uuidfs.errors import show
from uuidfs.layout import Kind
from uuidfs.operate import RunResult
from uuidfs.scan import Problem

if TYPE_CHECKING:  # each command imports what it needs
    from uuidfs.check import CheckResult, Finding
    from uuidfs.report import DomainState, StatusResult
    from uuidfs.standing import Standing

VERSION = 1  # of the JSON; fields may be added under the same number


def as_json(**fields: Any) -> str:
    """One JSON object with the version in front; undecodable bytes become escapes."""
    import json  # most runs print none

    return json.dumps({"version": VERSION, **fields}, indent=2)


def error_json(message: str, exit_code: int) -> str:
    """What ``--json`` prints instead of a result."""
    return as_json(error=message, exit_code=exit_code)


def run_json(result: RunResult) -> str:
    """convert and revert."""
    return as_json(
        action=result.action,
        dry_run=result.dry_run,
        domains=[
            {
                "name": d.name,
                "uuid": d.uuid,
                "changed": list(d.changed(result.layout)),
                "steps": list(d.steps(result.layout)),
                "busy": d.busy,
                "error": d.error,
            }
            for d in result.domains
        ],
        problems=_problems_json(result.problems),
        kept=list(result.kept),
    )


def run_lines(result: RunResult) -> list[str]:
    """One line a domain that changed, then a summary; nothing when there was nothing to do."""
    lines = []
    changed = [d for d in result.domains if d.files]
    for domain in changed:
        if result.dry_run:
            lines += [f"{show(domain.label)}: {show(step)}" for step in domain.steps(result.layout)]
        else:
            lines.append(f"{show(domain.label)}: {count(domain.files, 'file')}")
    done = {"convert": "converted", "revert": "reverted"}.get(result.action, "repaired")
    parts = []
    if changed:
        verb = f"would be {done}" if result.dry_run else done
        parts.append(f"{count(len(changed), 'domain')} {verb}")
    busy = sum(d.busy for d in result.domains)
    failed = sum(d.error is not None and not d.busy for d in result.domains)
    if failed:
        parts.append(f"{failed} with problems")
    if busy:
        parts.append(f"{busy} busy")
    if parts:
        lines.append(", ".join(parts))
    return lines


def run_errors(result: RunResult) -> list[str]:
    """What goes to stderr after a run."""
    lines = [f"uuidfs: {show(p.path)}: {show(p.reason)}" for p in result.problems]
    lines += [
        f"uuidfs: {show(d.label)}: {show(d.error)}" for d in result.domains if d.error is not None
    ]
    lines += [f"uuidfs: kept, nothing refers to it: {show(path)}" for path in result.kept]
    return lines


def status_json(result: "StatusResult") -> str:
    """status."""
    return as_json(
        domains=[_domain_json(domain) for domain in result.domains],
        undefined=[_domain_json(domain) for domain in result.undefined],
        unbound=list(result.unbound),
        leftovers=list(result.leftovers),
        problems=_problems_json(result.problems),
        reconciler=result.reconciler._asdict() if result.reconciler is not None else None,
    )


def _domain_json(domain: "DomainState") -> dict[str, Any]:
    return {
        "name": domain.name,
        "uuid": domain.uuid,
        "state": domain.state,
        "source": domain.source,
        "files": [
            {
                "kind": file.kind.value,
                "name_path": file.name_path,
                "uuid_path": file.uuid_path,
                "state": file.state,
            }
            for file in domain.files
        ],
        "problems": _problems_json(domain.problems),
    }


def _problems_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    return [{"path": p.path, "reason": p.reason, "name": p.name} for p in problems]


def status_lines(result: "StatusResult") -> list[str]:
    """A table of domains, then whatever needs a look."""
    header = ("NAME", "UUID", "STATE", *(kind.value.upper() for kind in Kind))
    rows = [
        (show(d.name or "-"), d.uuid, d.state, *(_kind_cell(d, kind) for kind in Kind))
        for d in (*result.domains, *result.undefined)
    ]
    lines = table([header, *rows]) if rows else []
    lines += [f"unbound: {show(path)}" for path in result.unbound]
    lines += [f"left over: {show(path)}" for path in result.leftovers]
    lines += [
        f"problem: {show(p.path)}: {show(p.reason)}"
        for p in (*result.problems, *(p for d in result.domains for p in d.problems))
    ]
    if result.reconciler is not None:
        lines.append(f"reconciler: {_standing(result.reconciler)}")
    elif result.live:
        lines.append("reconciler: not running")
    return lines


def _standing(now: "Standing") -> str:
    text = f"running (pid {now.pid}), {now.pending} pending"
    if now.behind >= 1:
        text += f", {now.behind:.0f} s behind"
    return f"{text}, polling: {show(now.polling)}" if now.polling else text


def _kind_cell(domain: "DomainState", kind: Kind) -> str:
    """``converted``, ``3 converted``, or ``1 stale, 2 converted``."""
    counts: dict[str, int] = {}
    for file in domain.files:
        if file.kind is kind:
            counts[file.state] = counts.get(file.state, 0) + 1
    if not counts:
        return "-"
    if list(counts.values()) == [1]:
        return next(iter(counts))
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns, each as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def check_json(result: "CheckResult") -> str:
    """check."""
    return as_json(
        findings=[_finding_json(f) for f in result.findings],
        repaired=[_finding_json(f) for f in result.repaired],
    )


def _finding_json(finding: "Finding") -> dict[str, Any]:
    return {
        "promise": finding.promise,
        "path": finding.path,
        "problem": finding.problem,
        "advice": finding.advice,
        "repairable": finding.repairable,
        "uuid": finding.uuid,
    }


def check_lines(result: "CheckResult") -> list[str]:
    """Each finding with its path and what to do; nothing when all is well."""
    lines = [f"repaired: {show(f.path)}: {show(f.problem)}" for f in result.repaired]
    lines += [f"{f.promise} {show(f.path)}: {show(f.problem)}; {f.advice}" for f in result.findings]
    if result.findings:
        lines.append(count(len(result.findings), "finding"))
    return lines


def count(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
