"""``uuidfs outdated``."""

import typer

from uuidfs.cli.options import CONNECT, DOMAINS, JSON, ROOT, layout_of
from uuidfs.cli.output import say
from uuidfs.cli.render.outdated import outdated_errors, outdated_json, outdated_lines
from uuidfs.errors import UsageError
from uuidfs.outdated import look, record
from uuidfs.survey.resolve import resolve

RECORD = typer.Option(False, "--record", help="Keep the result for the reconciler's metrics.")


def outdated_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    recorded: bool = RECORD,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Show running guests whose QEMU was replaced on disk since they started."""
    layout = layout_of(ctx, root, connect)
    if recorded and domains:
        raise UsageError("--record is for a look at all domains")
    found = look(layout, {resolve(layout, d)[0] for d in domains} if domains else None)
    if recorded:
        record.write(layout, found)
    if as_json:
        say([outdated_json(found)])
    else:
        say(outdated_lines(found), outdated_errors(found.problems))
    raise typer.Exit(found.exit_code)
