"""How the results of status and check look, as text or versioned JSON."""

from typing import TYPE_CHECKING, Any

from uuidfs.cli.render.text import as_json, count, problems_json, table
from uuidfs.errors import show
from uuidfs.layout.places import Kind

if TYPE_CHECKING:
    from uuidfs.check import CheckResult, Finding
    from uuidfs.history.former import Former
    from uuidfs.runtime.reconciler_state import ReconcilerState
    from uuidfs.status import DomainStatus, StatusResult


def status_json(result: "StatusResult", former: "Former | None" = None) -> str:
    """status. Each domain has its former names where these were asked for."""
    more = {} if former is None else {"unread": problems_json(former.problems)}
    return as_json(
        domains=[_domain_json(domain, former) for domain in result.domains],
        undefined=[_domain_json(domain, former) for domain in result.undefined],
        unbound=list(result.unbound),
        leftovers=list(result.leftovers),
        problems=problems_json(result.problems),
        reconciler=result.reconciler._asdict() if result.reconciler is not None else None,
        **more,
    )


def _domain_json(domain: "DomainStatus", former: "Former | None") -> dict[str, Any]:
    more = {} if former is None else {"former_names": list(former.names.get(domain.uuid, ()))}
    return {
        "name": domain.name,
        "uuid": domain.uuid,
        "state": domain.state.value,
        "source": domain.source,
        "files": [
            {
                "kind": file.kind.value,
                "name_path": file.name_path,
                "uuid_path": file.uuid_path,
                "state": file.state.value,
            }
            for file in domain.files
        ],
        "problems": problems_json(domain.problems),
        **more,
    }


def former_lines(result: "StatusResult", former: "Former") -> list[str]:
    """One line for each domain that had other names before."""
    return [
        f"{show(d.name or d.uuid)}: formerly {', '.join(show(name) for name in names)}"
        for d in (*result.domains, *result.undefined)
        if (names := former.names.get(d.uuid))
    ]


def former_errors(former: "Former") -> list[str]:
    """What could not be read."""
    return [f"uuidfs: {show(p.path)}: {show(p.reason)}" for p in former.problems]


def status_lines(result: "StatusResult") -> list[str]:
    """A table of domains, then whatever needs a look."""
    header = ("NAME", "UUID", "STATE", *(kind.value.upper() for kind in Kind))
    rows = [
        (show(d.name or "-"), d.uuid, d.state.value, *(_kind_cell(d, kind) for kind in Kind))
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


def _standing(now: "ReconcilerState") -> str:
    text = f"running (pid {now.pid}), {now.pending} pending"
    if now.behind >= 1:
        text += f", {now.behind:.0f} s behind"
    return f"{text}, polling: {show(now.polling)}" if now.polling else text


def _kind_cell(domain: "DomainStatus", kind: Kind) -> str:
    """``converted``, ``3 converted``, or ``1 stale, 2 converted``."""
    counts: dict[str, int] = {}
    for file in domain.files:
        if file.kind is kind:
            counts[file.state.value] = counts.get(file.state.value, 0) + 1
    if not counts:
        return "-"
    if list(counts.values()) == [1]:
        return next(iter(counts))
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))


def check_json(result: "CheckResult") -> str:
    """check."""
    return as_json(
        findings=[_finding_json(f) for f in result.findings],
        repaired=[_finding_json(f) for f in result.repaired],
        notices=[_finding_json(f) for f in result.notices],
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
    lines += [f"notice: {show(f.path)}: {show(f.problem)}; {f.advice}" for f in result.notices]
    if result.findings:
        lines.append(count(len(result.findings), "finding"))
    return lines
