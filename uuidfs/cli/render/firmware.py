"""How a run over the domains' firmware looks, as text or as a part of JSON."""

from typing import TYPE_CHECKING, Any

from uuidfs.cli.render.text import count
from uuidfs.errors import show

if TYPE_CHECKING:
    from uuidfs.firmware.results import FirmwareRun


def firmware_json(run: "FirmwareRun") -> list[dict[str, Any]]:
    """A list of domains, for convert and revert."""
    return [
        {
            "name": d.name,
            "uuid": d.uuid,
            "paths": list(d.files),
            "steps": [step.describe() for step in d.done],
            "busy": d.busy,
            "error": d.error,
        }
        for d in run.domains
    ]


def firmware_lines(run: "FirmwareRun", *, dry_run: bool) -> list[str]:
    """One line for each path that a definition names now; in a dry run one for each step."""
    lines = []
    for domain in run.domains:
        name = show(domain.name)
        if dry_run:
            lines += [f"{name}: {show(step.describe())}" for step in domain.done]
        else:
            lines += [f"{name}: firmware is {show(path)} now" for path in domain.files]
    changed = sum(1 for domain in run.domains if domain.files)
    if changed:
        verb = "would get" if dry_run else "got"
        lines.append(f"{count(changed, 'domain')} {verb} firmware paths of its own")
    return lines


def firmware_errors(run: "FirmwareRun") -> list[str]:
    """What goes to stderr."""
    lines = [f"uuidfs: {show(d.name)}: {show(d.error)}" for d in run.domains if d.error is not None]
    lines += [
        f"uuidfs: {show(name)}: the path of its firmware stays: only libvirt can change it, and it "
        "does not run"
        for name in run.waiting
    ]
    lines += [f"uuidfs: kept, no domain has it: {show(path)}" for path in run.kept]
    return lines
