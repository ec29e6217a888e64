"""The command line: parse, call, render, exit code. All work is done elsewhere."""

import sys
from typing import NoReturn

import typer

from uuidfs import __version__
from uuidfs.cli.lazy import SETTINGS, LazyGroup
from uuidfs.cli.options import CONNECT, ROOT
from uuidfs.cli.output import EXIT_INTERRUPTED, fail, guarded, say
from uuidfs.errors import EXIT_USAGE

# Newer typers carry their own copy of click: its base class is found through what they export.
ClickException = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


app = typer.Typer(
    name="uuidfs",
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


def _version(wanted: bool) -> None:
    if wanted:
        say([f"uuidfs {__version__}"])
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    root: str = ROOT,
    connect: str = CONNECT,
    _: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """UUID-named files for libvirt domains, behind name symlinks, on stock libvirt."""
    ctx.obj = (root, connect)


def main() -> NoReturn:
    """Parse the command line, run it and exit with a documented code."""
    guarded(_parse)


def _parse() -> object:
    try:
        return typer.main.get_command(app).main(prog_name="uuidfs", standalone_mode=False)
    except typer.Abort:
        fail("interrupted", EXIT_INTERRUPTED)
    except Exception as error:
        if not isinstance(error, ClickException):
            raise
        message: str = error.format_message()  # type: ignore[attr-defined] # found by its name
        if type(error).__name__ == "NoArgsIsHelpError":
            say([], [message])
            sys.exit(EXIT_USAGE)
        fail(message, EXIT_USAGE)
