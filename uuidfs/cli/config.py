"""``uuidfs config``."""

import typer

from uuidfs.cli.options import CONNECT, JSON, ROOT, layout_of
from uuidfs.cli.output import loaded_settings, say

config_app = typer.Typer(
    help="Show or check the configuration.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@config_app.command("show")
def config_show(
    ctx: typer.Context, as_json: bool = JSON, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Print what is in force, as TOML, and where each value comes from."""
    from uuidfs.cli.render.settings import config_json, config_lines

    loaded = loaded_settings(layout_of(ctx, root, connect))
    say([config_json(loaded)] if as_json else config_lines(loaded))


@config_app.command("check")
def config_check(ctx: typer.Context, root: str = ROOT, connect: str = CONNECT) -> None:
    """Say nothing when the configuration is good; exit code 2 with the line and the key else."""
    loaded_settings(layout_of(ctx, root, connect))
