"""How the results of status and check look, as text or versioned JSON."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from uuidfs.cli.render.columns import PLAIN, Look, table, wrapped
from uuidfs.cli.render.text import as_json, count, problems_json
from uuidfs.errors import show
from uuidfs.layout.places import Kind
from uuidfs.layout.words import short_uuids

if TYPE_CHECKING:
    from uuidfs.check import CheckResult
    from uuidfs.findings import Finding
    from uuidfs.history.former import Former
    from uuidfs.runtime.reconciler_state import ReconcilerState
    from uuidfs.status import DomainStatus, StatusResult

NONE = "no domains"

_MANY = 5  # paths of a sort are listed, more are counted

_ORDER = ("converted", "plain", "partial", "conflict")

_STATE = 2  # the column
_COLOURS = {"converted": "green", "partial": "yellow", "conflict": "red"}


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


def status_lines(
    result: "StatusResult", look: Look = PLAIN, *, details: bool = False, empty: str = NONE
) -> list[str]:
    """A table of domains, then whatever needs a look, and how many there are. ``details``: also
    each file that is not as it should be; ``empty``: what to say where there is no domain."""
    short = {uuid: uuid for uuid in result.uuids} if look.wide else short_uuids(result.uuids)
    domains = (*result.domains, *result.undefined)
    rows = [
        (show(d.name or "-"), short.get(d.uuid, d.uuid), d.state.value, _files(d)) for d in domains
    ]
    header = ("NAME", "UUID", "STATE", "FILES")
    lines = table([header, *rows], look, paint=_colour) if rows else []
    notes = _details(domains) if details or look.wide else []
    notes += _some("unbound", result.unbound, look)
    notes += [f"left over: {show(path)}" for path in result.leftovers]
    problems = (*result.problems, *(p for d in domains for p in d.problems))
    notes += [f"problem: {show(p.path)}: {show(p.reason)}" for p in problems]
    for note in notes:
        lines += wrapped(note if look.wide else _brief(note), look.width, 2)
    if rows:
        lines.append(_summary(result))
    elif not problems:
        lines.append(empty)
    if result.reconciler is not None:
        lines.append(f"reconciler: {_standing(result.reconciler)}")
    elif result.live:
        lines.append("reconciler: not running")
    return lines


def _some(what: str, paths: Sequence[str], look: Look) -> list[str]:
    """A line for each; a host may have hundreds of logs of domains that are gone."""
    if look.wide or len(paths) <= _MANY:
        return [f"{what}: {show(path)}" for path in paths]
    return [f"{what}: {len(paths)} paths; to list them: uuidfs status --wide"]


def _details(domains: "Sequence[DomainStatus]") -> list[str]:
    lines = []
    for domain in domains:
        for file in domain.files:
            if file.state.value not in {"plain", "converted"}:
                path = show(file.name_path or file.uuid_path)
                name = show(domain.name or domain.uuid)
                lines.append(f"{name}: {file.kind.value} {file.state.value}: {path}")
    return lines


def _brief(text: str) -> str:
    """With the UUIDs in paths cut short, as people read them."""
    return re.sub(r"(?<=/)([0-9a-f]{8})-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", r"\1…", text)


def _summary(result: "StatusResult") -> str:
    """``5 domains: 3 converted, 2 plain; 1 undefined``."""
    states = [domain.state.value for domain in result.domains]
    counts = [f"{states.count(state)} {state}" for state in _ORDER if state in states]
    text = count(len(states), "domain") + (f": {', '.join(counts)}" if counts else "")
    return f"{text}; {len(result.undefined)} undefined" if result.undefined else text


def _colour(column: int, text: str) -> str:
    return _COLOURS.get(text, "") if column == _STATE else ""


def _standing(now: "ReconcilerState") -> str:
    text = f"running (pid {now.pid}), {now.pending} pending"
    if now.behind >= 1:
        text += f", {now.behind:.0f} s behind"
    return f"{text}, polling: {show(now.polling)}" if now.polling else text


def _files(domain: "DomainStatus") -> str:
    """``config, 3 logs``; what is not as the domain's other files says so: ``config stale``."""
    usual = "plain" if domain.state.value == "plain" else "converted"
    parts = []
    for kind in Kind:
        states = [file.state.value for file in domain.files if file.kind is kind]
        for state in sorted(set(states), key=lambda each: (each != usual, each)):
            number = states.count(state)
            what = kind.value if kind is Kind.CONFIG and number == 1 else count(number, kind.value)
            parts.append(what if state == usual else f"{what} {state}")
    return ", ".join(parts) or "-"


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
        "name": finding.name,
        "command": finding.command or None,
    }


def check_lines(result: "CheckResult", look: Look = PLAIN) -> list[str]:
    """Each finding with whose it is, its path, and what to do; one line where all is well."""
    lines: list[str] = []
    for finding in result.repaired:
        lines += wrapped(f"repaired: {_found(finding)}", look.width, 4)
    for before, those in (("", result.findings), ("notice: ", result.notices)):
        for finding in those:
            lines += _finding_lines(before, finding, look)
    if result.findings:
        lines.append(count(len(result.findings), "finding"))
    return lines or ["nothing found"]


def _found(finding: "Finding", *, with_path: bool = True) -> str:
    who = f"{show(finding.name)}: " if finding.name else ""
    where = f"{show(finding.path)}: " if finding.path and with_path else ""
    return f"{who}{where}{show(finding.problem)}"


def _finding_lines(before: str, finding: "Finding", look: Look) -> list[str]:
    """One line for a log. On a terminal path and command are lines of their own, never cut."""
    advice = show(finding.advice)
    if look.width is None:
        return [f"{before}{_found(finding)}; {advice}"]
    lines = wrapped(f"{before}{_found(finding, with_path=False)}", look.width, 4)
    if finding.path:
        lines.append(f"    {show(finding.path)}")
    words = advice.removesuffix(finding.command).rstrip() if finding.command else advice
    if words == "run:":
        return [*lines, f"    run: {finding.command}"]
    lines += [f"    {line}" for line in wrapped(words, look.width - 4)]
    return lines if words == advice else [*lines, f"        {finding.command}"]
