"""How the results of convert and revert look, as text or versioned JSON."""

from typing import TYPE_CHECKING

from uuidfs.cli.render.firmware import firmware_errors, firmware_json, firmware_lines
from uuidfs.cli.render.text import as_json, count, problems_json
from uuidfs.convert.results import RunResult
from uuidfs.errors import show

if TYPE_CHECKING:
    from uuidfs.firmware.results import FirmwareRun


_FEW = 10  # domains; of more a person reads the summary only


def run_json(result: RunResult, firmware: "FirmwareRun | None" = None) -> str:
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
        problems=problems_json(result.problems),
        kept=list(result.kept),
        firmware=firmware_json(firmware) if firmware is not None else [],
    )


def run_lines(
    result: RunResult, firmware: "FirmwareRun | None" = None, *, verbose: bool = False
) -> list[str]:
    """A summary, below a line for each domain that changed where those are few or ``verbose``, or
    below the steps of a dry run; nothing when there was nothing to do."""
    lines = firmware_lines(firmware, dry_run=result.dry_run) if firmware is not None else []
    changed = [d for d in result.domains if d.files]
    told = changed if result.dry_run or verbose or len(changed) <= _FEW else []
    for domain in told:
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


def run_errors(result: RunResult, firmware: "FirmwareRun | None" = None) -> list[str]:
    """What goes to stderr after a run."""
    lines = firmware_errors(firmware) if firmware is not None else []
    lines += [
        f"uuidfs: {f'{show(p.path)}: ' if p.path else ''}{show(p.reason)}" for p in result.problems
    ]
    lines += [
        f"uuidfs: {show(d.label)}: {show(d.error)}" for d in result.domains if d.error is not None
    ]
    lines += [f"uuidfs: kept, nothing refers to it: {show(path)}" for path in result.kept]
    return lines
