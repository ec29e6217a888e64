"""``uuidfs undelete``."""

import typer

from uuidfs.cli.completion import gone_names
from uuidfs.cli.options import CONNECT, DRY_RUN, JSON, LOCK_TIMEOUT, ROOT, layout_of, seconds
from uuidfs.cli.output import configured, say
from uuidfs.errors import EXIT_FAILED, EXIT_OK, UsageError

WANTED = typer.Argument(
    None,
    metavar="[DOMAIN]",
    show_default=False,
    help="The last name or the UUID of a domain that is gone, or how one of them begins. "
    "Without it those that can come back are listed.",
    autocompletion=gone_names,
)

AS = typer.Option(None, "--as", metavar="NAME", show_default=False, help="Give it another name.")


def undelete_command(
    ctx: typer.Context,
    wanted: str = WANTED,
    name: str = AS,
    dry_run: bool = DRY_RUN,
    as_json: bool = JSON,
    lock_timeout: str = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Bring an undefined domain back, with all that belongs to it.

    Without a domain, list those that can come back.

    Examples:
        uuidfs undelete                 list what can come back
        uuidfs undelete web
        uuidfs undelete web --as web-old
    """
    from uuidfs.cli.render import undelete as render
    from uuidfs.cli.terminal import look
    from uuidfs.firmware.plan import Mode
    from uuidfs.undelete.candidates import find
    from uuidfs.undelete.run import How, undelete

    layout = layout_of(ctx, root, connect)
    if wanted is None:
        if name is not None or dry_run:
            raise UsageError("--as and --dry-run need a domain")
        found = find(layout)
        if as_json:
            say([render.listing_json(found)])
        else:
            say(render.listing_lines(found, look()), render.problem_lines(found.problems))
        raise typer.Exit(EXIT_FAILED if found.problems else EXIT_OK)
    configuration = configured(layout)
    how = How(
        name,
        dry_run,
        configuration.lock_timeout
        if lock_timeout is None
        else seconds("--lock-timeout", lock_timeout),
        configuration.keep_secrets,
        configuration.kinds,
        Mode(configuration.firmware),
    )
    result = undelete(layout, wanted, how)
    if as_json:
        say([render.result_json(result)])
    else:
        say(render.result_lines(result), render.result_errors(result))
    raise typer.Exit(result.exit_code)
