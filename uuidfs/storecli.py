"""``uuidfs trash`` and ``uuidfs config``."""

from typing import TYPE_CHECKING

import typer

from uuidfs import durations
from uuidfs.errors import EXIT_FAILED, EXIT_OK, UsageError
from uuidfs.options import CONNECT, DOMAINS, DRY_RUN, JSON, ROOT, layout_of
from uuidfs.outcome import say

if TYPE_CHECKING:
    from uuidfs.config import Loaded
    from uuidfs.layout import Layout

trash_app = typer.Typer(
    help="List, restore or empty what libvirt no longer refers to.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
config_app = typer.Typer(
    help="Show or check the configuration.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ID = typer.Argument(..., metavar="ID", help="As trash list prints it, or how it begins.")
IDS = typer.Argument(
    None, metavar="[ID]...", show_default=False, help="Remove exactly these, whatever their age."
)
OLDER_THAN = typer.Option(
    None,
    "--older-than",
    metavar="TIME",
    show_default=False,
    help="Such as 30d or 12h; by default the configured retention. 0s is everything.",
)


def _loaded(layout: "Layout") -> "Loaded":
    from uuidfs import config  # other commands do without tomllib

    return config.read(layout)


@trash_app.command("list")
def trash_list(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """List what is in the trash, newest last."""
    from uuidfs import render_store, trash

    layout = layout_of(ctx, root, connect)
    result = trash.listing(layout, tuple(domains) if domains else None)
    if as_json:
        say([render_store.listing_json(layout, result)])
    else:
        say(render_store.listing_lines(result), render_store.problem_lines(result.strangers))
    raise typer.Exit(EXIT_FAILED if result.strangers else EXIT_OK)


@trash_app.command("show")
def trash_show(
    ctx: typer.Context,
    wanted: str = ID,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Show one entry and where its file is."""
    from uuidfs import render_store, trash

    layout = layout_of(ctx, root, connect)
    result = trash.show(layout, wanted)
    say(
        [render_store.shown_json(layout, result)]
        if as_json
        else render_store.shown_lines(layout, result)
    )


@trash_app.command("restore")
def trash_restore(
    ctx: typer.Context,
    wanted: str = ID,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Put one file back to where libvirt reads it; never over another one."""
    from uuidfs import render_store
    from uuidfs.restore import restore

    layout = layout_of(ctx, root, connect)
    timeout = _loaded(layout).configuration.lock_timeout
    result = restore(layout, wanted, lock_timeout=timeout)
    say(
        [render_store.restored_json(layout, result)]
        if as_json
        else render_store.restored_lines(result)
    )


@trash_app.command("empty")
def trash_empty(
    ctx: typer.Context,
    ids: list[str] = IDS,
    older_than: str = OLDER_THAN,
    dry_run: bool = DRY_RUN,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Remove old files from the trash for good, without asking."""
    from uuidfs import render_store, retention

    layout = layout_of(ctx, root, connect)
    if ids and older_than is not None:
        raise UsageError("give either ids or --older-than")
    age = None if ids else _age(layout, older_than)
    result = retention.empty(layout, age, tuple(ids) if ids else None, dry_run=dry_run)
    if as_json:
        say([render_store.emptied_json(layout, result)])
    else:
        say(render_store.emptied_lines(layout, result), render_store.problem_lines(result.problems))
    raise typer.Exit(result.exit_code)


def _age(layout: "Layout", older_than: str | None) -> float | None:
    if older_than is None:
        return _loaded(layout).configuration.trash_retention
    try:
        return durations.parse_or_forever(older_than)
    except ValueError as error:
        raise UsageError(f"--older-than: {error}") from error


@config_app.command("show")
def config_show(
    ctx: typer.Context, as_json: bool = JSON, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Print what is in force, as TOML, and where each value comes from."""
    from uuidfs import render_store

    loaded = _loaded(layout_of(ctx, root, connect))
    say([render_store.config_json(loaded)] if as_json else render_store.config_lines(loaded))


@config_app.command("check")
def config_check(ctx: typer.Context, root: str = ROOT, connect: str = CONNECT) -> None:
    """Say nothing when the configuration is good; exit code 2 with the line and the key else."""
    _loaded(layout_of(ctx, root, connect))
