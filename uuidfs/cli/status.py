"""``uuidfs status``, ``uuidfs check`` and ``uuidfs path``."""

import typer

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
from uuidfs.layout.places import Kind

KIND = typer.Option(
    Kind.CONFIG.value,
    "--kind",
    metavar="KIND",
    help="Which of the domain's files: config, log, snapshot or checkpoint.",
)

REPAIR = typer.Option(False, "--repair", help="Do what can be done about the findings.")


def status_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Show each domain with its UUID and the state of its files.

    Examples:
        uuidfs status
        uuidfs status web
        uuidfs status --json
    """
    from uuidfs.cli.render.status import status_json, status_lines
    from uuidfs.status import status_of
    from uuidfs.survey.identity_lxml import quick_reader

    chosen = tuple(domains) if domains else None
    result = status_of(layout_of(ctx, root, connect), chosen, quick_reader())
    if as_json:
        say([status_json(result)])
    else:
        say(status_lines(result))


def check_command(
    ctx: typer.Context,
    repair_wanted: bool = REPAIR,
    as_json: bool = JSON,
    lock_timeout: str = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Check every promise that can be checked on disk.

    Exit status 3 says that something was found.

    Examples:
        uuidfs check
        uuidfs check --repair
    """
    from uuidfs.check import check, repair
    from uuidfs.cli.render.status import check_json, check_lines

    layout = layout_of(ctx, root, connect)
    errors: list[str] = []
    if repair_wanted:
        from uuidfs.cli.render.runs import run_errors
        from uuidfs.convert.results import Options

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
    """Print where a domain's files are by its UUID, for scripts.

    Examples:
        uuidfs path web
        tail -f "$(uuidfs path web --kind log)"
    """
    from uuidfs.status import uuid_path
    from uuidfs.survey.identity_lxml import quick_reader

    layout = layout_of(ctx, root, connect)
    say([uuid_path(layout, domain, kind, quick_reader())])
