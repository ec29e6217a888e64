"""``uuidfs trash``."""

from typing import TYPE_CHECKING

import typer

from uuidfs import durations
from uuidfs.cli.completion import trash_ids
from uuidfs.cli.lazy import HelpCommand, group
from uuidfs.cli.options import CONNECT, DOMAINS, DRY_RUN, JSON, ROOT, layout_of
from uuidfs.cli.output import loaded_settings, say
from uuidfs.errors import EXIT_FAILED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from uuidfs.layout.places import Layout


trash_app = group("List, restore or empty what libvirt no longer refers to.")


ID = typer.Argument(
    ...,
    metavar="ID",
    help="As trash list prints it, or how it begins.",
    autocompletion=trash_ids,
)

IDS = typer.Argument(
    None,
    metavar="[ID]...",
    show_default=False,
    help="Remove exactly these, whatever their age.",
    autocompletion=trash_ids,
)

OLDER_THAN = typer.Option(
    None,
    "--older-than",
    metavar="TIME",
    show_default=False,
    help="Such as 30d or 12h; by default the configured retention. 0s is everything.",
)


WIDE = typer.Option(False, "--wide", help="Whole UUIDs and IDs, with file, size and who did it.")


@trash_app.command("list", cls=HelpCommand)
def trash_list(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    wide: bool = WIDE,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """List what is in the trash, newest last.

    Examples:
        uuidfs trash list
        uuidfs trash list web
    """
    from uuidfs.cli.render import trash
    from uuidfs.cli.terminal import look
    from uuidfs.trash.listing import listing

    layout = layout_of(ctx, root, connect)
    result = listing(layout, tuple(domains) if domains else None)
    if as_json:
        say([trash.listing_json(layout, result)])
    else:
        lines = trash.listing_lines(result, look(wide=wide), tuple(domains or ()))
        say(lines, trash.problem_lines(result.strangers))
    raise typer.Exit(EXIT_FAILED if result.strangers else EXIT_OK)


@trash_app.command("show", cls=HelpCommand)
def trash_show(
    ctx: typer.Context,
    wanted: str = ID,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Show one entry and where its file is.

    Examples:
        uuidfs trash show 3f2a
    """
    from uuidfs.cli.render import trash
    from uuidfs.trash import entries

    layout = layout_of(ctx, root, connect)
    result = entries.show(layout, wanted)
    say([trash.shown_json(layout, result)] if as_json else trash.shown_lines(layout, result))


@trash_app.command("restore", cls=HelpCommand)
def trash_restore(
    ctx: typer.Context,
    wanted: str = ID,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Put one file back to where libvirt reads it; never over another one.

    Examples:
        uuidfs trash restore 3f2a
    """
    from uuidfs.cli.render import trash
    from uuidfs.trash.restore import restore

    layout = layout_of(ctx, root, connect)
    timeout = loaded_settings(layout).configuration.lock_timeout
    result = restore(layout, wanted, lock_timeout=timeout)
    say([trash.restored_json(layout, result)] if as_json else trash.restored_lines(result))


@trash_app.command("empty", cls=HelpCommand)
def trash_empty(
    ctx: typer.Context,
    ids: list[str] = IDS,
    older_than: str = OLDER_THAN,
    dry_run: bool = DRY_RUN,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Remove old files from the trash for good, without asking.

    Examples:
        uuidfs trash empty --dry-run
        uuidfs trash empty --older-than 30d
    """
    from uuidfs.cli.render import trash
    from uuidfs.trash import empty

    layout = layout_of(ctx, root, connect)
    if ids and older_than is not None:
        raise UsageError("give either ids or --older-than")
    age = None if ids else _age(layout, older_than)
    result = empty.empty(layout, age, tuple(ids) if ids else None, dry_run=dry_run)
    if as_json:
        say([trash.emptied_json(layout, result)])
    else:
        say(trash.emptied_lines(layout, result), trash.problem_lines(result.problems))
    raise typer.Exit(result.exit_code)


def _age(layout: "Layout", older_than: str | None) -> float | None:
    if older_than is None:
        return loaded_settings(layout).configuration.trash_retention
    try:
        return durations.parse_or_forever(older_than)
    except ValueError as error:
        raise UsageError(f"--older-than: {error}") from error
