"""``uuidfs status``, ``uuidfs check`` and ``uuidfs path``."""

from typing import TYPE_CHECKING

import typer

from uuidfs.check import check, repair
from uuidfs.cli.options import (
    CONNECT,
    DOMAIN,
    DOMAINS,
    JSON,
    LOCK_TIMEOUT,
    ROOT,
    layout_of,
    patience,
)
from uuidfs.cli.output import say
from uuidfs.cli.render.runs import run_errors
from uuidfs.cli.render.status import (
    check_json,
    check_lines,
    former_errors,
    former_lines,
    status_json,
    status_lines,
)
from uuidfs.convert.results import Options
from uuidfs.layout.places import Kind
from uuidfs.status import status_of, uuid_path

if TYPE_CHECKING:
    from uuidfs.history.former import Former

KIND = typer.Option(Kind.CONFIG.value, "--kind", help="Which of the domain's files.")

FORMER = typer.Option(
    False, "--former", help="Also the names that domains had before: this reads all their logs."
)

REPAIR = typer.Option(False, "--repair", help="Do what can be done about the findings.")


def status_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    former_wanted: bool = FORMER,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Show domains, UUIDs and the state of each kind of file."""
    layout = layout_of(ctx, root, connect)
    result = status_of(layout, tuple(domains) if domains else None)
    former: Former | None = None
    if former_wanted:
        from uuidfs.history.former import former_of

        former = former_of(layout, [d.uuid for d in (*result.domains, *result.undefined)])
    if as_json:
        say([status_json(result, former)])
    elif former is None:
        say(status_lines(result))
    else:
        say([*status_lines(result), *former_lines(result, former)], former_errors(former))


def check_command(
    ctx: typer.Context,
    repair_wanted: bool = REPAIR,
    as_json: bool = JSON,
    lock_timeout: float = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Check every promise that can be checked on disk."""
    layout = layout_of(ctx, root, connect)
    errors: list[str] = []
    if repair_wanted:
        result, done = repair(
            layout, Options(lock_timeout=patience(layout, lock_timeout), by="check")
        )
        errors = run_errors(done)
    else:
        result = check(layout)
    if as_json:
        say([check_json(result)])
    else:
        say(check_lines(result), errors)
    raise typer.Exit(result.exit_code)


def path_command(
    ctx: typer.Context,
    domain: str = DOMAIN,
    kind: Kind = KIND,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Print the UUID path of a domain's files, for scripts."""
    layout = layout_of(ctx, root, connect)
    say([uuid_path(layout, domain, kind)])
