"""``uuidfs outdated``, and what ``uuidfs local-migrate --outdated`` moves."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import typer

from uuidfs.cli.options import CONNECT, DOMAINS, JSON, ROOT, layout_of
from uuidfs.cli.output import say
from uuidfs.cli.render.outdated import outdated_errors, outdated_json, outdated_lines
from uuidfs.errors import UsageError, UuidfsError
from uuidfs.layout.places import Layout
from uuidfs.outdated import look, record
from uuidfs.survey.resolve import resolve
from uuidfs.survey.scan import Problem

if TYPE_CHECKING:
    from uuidfs.localmigration.hop import MigrationOptions
    from uuidfs.localmigration.migrate import TripResult

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


def outdated_trips(
    layout: Layout, options: "MigrationOptions"
) -> "tuple[list[str], list[Callable[[], TripResult]]]":
    """The names of the outdated guests, and their trips; an error for each that nobody can tell.

    Where a config names another emulator, that is where it goes: else a trip keeps what the guest
    was started with.
    """
    from uuidfs.localmigration.migrate import local_migrate

    def untold(problem: Problem) -> "TripResult":
        raise UuidfsError(f"whether it is outdated cannot be told: {problem.reason}", problem.path)

    found = look(layout)
    calls: list[Callable[[], TripResult]] = [
        partial(
            local_migrate,
            layout,
            one.name,
            options._replace(emulator=options.emulator or one.emulator),
        )
        for one in found.domains
    ]
    calls += [partial(untold, problem) for problem in found.problems]
    names = [one.name for one in found.domains] + [p.name or p.path for p in found.problems]
    return names, calls
