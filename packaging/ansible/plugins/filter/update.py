"""Filters that sum up what was done on hosts: uuidfs's JSON in, reports out."""

import json

DOCUMENTATION = r"""
name: update
short_description: Reports of the role
description: Filters that the role uses. They are no interface for others.
author: The uuidfs authors
"""

# What makes a host's state, and the order of the lines below it.
GUESTS = ("moved", "would_move", "refused", "busy", "failed", "not_begun")
WORDS = {
    "would_move": "would move",
    "refused": "cannot move",
    "not_begun": "not begun",
}


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
    return str(said or result.get("stderr") or result.get("msg") or "failed").strip()


def _last_results(outdated, attempts):
    """Each guest's last word: uuid -> result. A result without a UUID has one as its name, or the
    name of an outdated guest."""
    names = {one["name"]: one["uuid"] for one in outdated}
    found = {}
    for result in (result for attempt in attempts for result in attempt):
        name = result["name"]
        uuid = result.get("uuid") or names.get(name, name)
        # What has moved stays moved, whatever a later attempt says.
        if uuid not in found or found[uuid]["error"] is not None:
            found[uuid] = result
    return found


def _fate(result, plan, check):
    """Which of GUESTS a guest belongs to; None for one that needs nothing any more."""
    if result is None:
        if plan is None:
            return None  # shut off, or moved by others
        if plan["busy"]:
            return "busy"
        if plan["error"] is not None:
            return "refused"
        return "would_move" if check else "not_begun"
    if result["error"] is None:
        return "moved"
    if result["busy"]:
        return "busy"
    # A refusal: as uuidfs says itself, or else one that the plan knew of.
    refused = plan is not None and plan["error"] is not None and not plan["busy"]
    return "refused" if result.get("refused", refused) else "failed"


def update_report(said):
    """One host's report, of all that was learnt on it."""
    # Ansible before 2.19 makes texts of numbers.
    check, outdated, looked = bool(said["check"]), said["outdated"], int(said["looked"])
    plans = _last_results(outdated, [said["planned"]])
    results = _last_results(outdated, said["trips"])
    names = {uuid: one["name"] for uuid, one in {**plans, **results}.items()}
    names.update((one["uuid"], one["name"]) for one in outdated)
    report = {kind: [] for kind in GUESTS}
    for uuid, name in sorted(names.items(), key=lambda item: item[1]):
        result, plan = results.get(uuid), plans.get(uuid)
        fate = _fate(result, plan, check)
        if fate is None:
            continue
        guest = {"name": name, "uuid": uuid}
        if fate == "moved":
            guest.update(seconds=result.get("seconds"), downtimes=result.get("downtimes"))
        elif fate in ("refused", "busy", "failed"):
            guest["reason"] = (result or plan)["error"]
        report[fate].append(guest)
    report["error"] = str(said["error"])
    report["up_to_date"] = max(0, looked - sum(len(report[kind]) for kind in GUESTS))
    report["state"] = _state(report, check, said["refused_fails"])
    report["summary"] = _summary(report)
    return report


def _state(report, check, refused_fails):
    bad = report["failed"] or (report["refused"] and refused_fails)
    if report["error"] or bad or (not check and (report["busy"] or report["not_begun"])):
        return "failed"
    for kind in ("moved", "would_move", "busy", "refused"):
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
