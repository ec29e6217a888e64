"""``uuidfs config``."""

import typer

from uuidfs.cli.lazy import HelpCommand, group
from uuidfs.cli.options import CONNECT, JSON, ROOT, layout_of
from uuidfs.cli.output import loaded_settings, say

config_app = group("Show or check the configuration.")


@config_app.command("show", cls=HelpCommand)
def config_show(
    ctx: typer.Context, as_json: bool = JSON, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Print what is in force, as TOML, and where each value comes from.

    Examples:
        uuidfs config show
    """
    from uuidfs.cli.render.settings import config_json, config_lines

    loaded = loaded_settings(layout_of(ctx, root, connect))
    say([config_json(loaded)] if as_json else config_lines(loaded))


@config_app.command("check", cls=HelpCommand)
def config_check(ctx: typer.Context, root: str = ROOT, connect: str = CONNECT) -> None:
    """Say nothing when the configuration is good.

    Otherwise tell the line and the key, with exit status 2.

    Examples:
        uuidfs config check && systemctl reload uuidfs
    """
    loaded_settings(layout_of(ctx, root, connect))
