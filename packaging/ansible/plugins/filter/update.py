"""Filters that sum up what was done on hosts: uuidfs's JSON in, reports out."""

import json

DOCUMENTATION = r"""
name: update
short_description: Reports of the role
description: Filters that the role uses. They are no interface for others.
author: The uuidfs authors
"""

# Outcomes of uuidfs local-migrate that are told guest by guest, in the order of the lines.
GUESTS = ("moved", "can_move", "refused", "busy", "failed", "not_begun")
WORDS = {"can_move": "would move", "refused": "cannot move", "not_begun": "not begun"}


def failure_text(results):
    """Why the last of some tasks failed: what uuidfs said, as JSON or not, or Ansible says.

    Where one before it did not reach the host, that is why.
    """
    for result in results:
        if result.get("unreachable"):
            return f"the host cannot be reached: {result.get('msg', '')}".strip(": \n")
    result = results[-1]
    try:
        said = json.loads(result.get("stdout") or "")["error"]
    except (ValueError, KeyError, TypeError):
        said = None
    said = said or result.get("stderr")
    if not said and result.get("rc"):  # killed: a negative one is a signal's number
        said = f"a command ended with code {result['rc']} and told nothing"
    return str(said or result.get("msg") or "failed").strip()


def _last_results(attempts):
    """What came of the last attempt, guest by guest, and of earlier ones those that moved."""
    found = {}
    for attempt in attempts:
        moved = {uuid: one for uuid, one in found.items() if one["outcome"] == "moved"}
        found = {one["uuid"]: one for one in attempt}
        for uuid, one in moved.items():
            # It stays moved, whoever is at it now; but a second trip that failed is told.
            if found.get(uuid, one)["outcome"] != "failed":
                found[uuid] = one
    return sorted(found.values(), key=lambda one: one["name"])


def update_report(said):
    """One host's report, of what each attempt said."""
    results = _last_results(said["trips"])
    report = {kind: [] for kind in GUESTS}
    for one in results:
        if one["outcome"] == "up_to_date":
            continue
        guest = {"name": one["name"], "uuid": one["uuid"]}
        if one["outcome"] == "moved":
            guest.update(seconds=one["seconds"], downtimes=one["downtimes"])
        elif one["error"] is not None:
            guest["reason"] = one["error"].removeprefix("not begun: ")
        report[one["outcome"]].append(guest)
    report["up_to_date"] = sum(one["outcome"] == "up_to_date" for one in results)
    report["error"] = str(said["error"])
    report["state"] = _state(report, said["check"], said["refused_fails"])
    report["summary"] = _summary(report)
    return report


def _state(report, check, refused_fails):
    bad = report["failed"] or report["not_begun"] or (report["refused"] and refused_fails)
    if report["error"] or bad or (report["busy"] and not check):
        return "failed"
    for kind in ("moved", "can_move", "busy", "refused"):
        if report[kind]:
            return WORDS.get(kind, kind)
    return "up to date"


def _summary(report):
    parts = [f"{len(report[k])} {WORDS.get(k, k)}" for k in GUESTS if report[k]]
    if not report["error"] or parts:
        parts.append(f"{report['up_to_date']} up to date")
    return ", ".join([*parts, report["error"]] if report["error"] else parts)


def _shown(text):
    """A guest's name is its owner's: no line breaks, no terminal sequences."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def fleet_report(hosts, check):
    """The reports of all hosts, as the JSON file has them; None is a host that has had no turn."""
    return {
        "version": 1,
        "check": check,
        "hosts": {
            host: report or {"state": "not reached", "summary": "not reached"}
            for host, report in hosts.items()
        },
    }


def report_lines(fleet, hosts):
    """Some hosts' reports as text, and a last line with the sums of all."""
    lines = []
    for host in hosts:
        report = fleet["hosts"][host]
        lines.append(_shown(f"{host}: {report['summary']}"))
        for kind in GUESTS:
            for guest in report.get(kind, ()):
                reason = f": {guest['reason']}" if guest.get("reason") else ""
                lines.append(_shown(f"    {WORDS.get(kind, kind)}: {guest['name']}{reason}"))
    states = [report["state"] for report in fleet["hosts"].values()]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return [*lines, f"{len(states)} hosts: {', '.join(counts)}"]


def run_lines(run):
    """What convert or revert has done or would do: a line for each file, and for each problem."""
    lines = []
    for domain in run.get("domains", ()):
        label = domain["name"] or domain["uuid"]
        if run["dry_run"]:
            lines += [f"would {run['action']} {label}: {step}" for step in domain["steps"]]
        else:
            lines += [f"{label}: {path}" for path in domain["changed"]]
        if domain["error"] is not None:
            lines.append(f"{label}: {domain['error']}")
    lines += [f"{problem['path']}: {problem['reason']}" for problem in run.get("problems", ())]
    return [_shown(line) for line in lines]


class FilterModule:
    """What Ansible asks for."""

    def filters(self):
        """The filters by their names."""
        return {
            "failure_text": failure_text,
            "fleet_report": fleet_report,
            "report_lines": report_lines,
            "run_lines": run_lines,
            "update_report": update_report,
        }
