"""``uuidfs history``."""

import typer

from uuidfs.cli.options import CONNECT, JSON, PAST_DOMAIN, ROOT, layout_of
from uuidfs.cli.output import say
from uuidfs.errors import EXIT_FAILED, EXIT_OK


def history_command(
    ctx: typer.Context,
    domain: str = PAST_DOMAIN,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Show a domain's former names, and what was done to it.

    That is renames, conversions, what is in the trash, and local migrations, with their times.

    Examples:
        uuidfs history web
    """
    from uuidfs.cli.render import history as render
    from uuidfs.cli.terminal import look
    from uuidfs.history.of_domain import history

    result = history(layout_of(ctx, root, connect), domain)
    if as_json:
        say([render.history_json(result)])
    else:
        say(render.history_lines(result, look()), render.history_errors(result))
    raise typer.Exit(EXIT_FAILED if result.problems else EXIT_OK)
