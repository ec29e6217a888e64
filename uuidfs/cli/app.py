"""The command line: parse, call, render, exit code. All work is done elsewhere."""

import sys
from typing import NoReturn

import typer

from uuidfs import __version__
from uuidfs.cli.config import config_app
from uuidfs.cli.convert import convert_command, revert_command
from uuidfs.cli.history import history_command
from uuidfs.cli.hook import hook_app
from uuidfs.cli.log import log_command
from uuidfs.cli.migrate import local_migrate_command
from uuidfs.cli.options import CONNECT, ROOT
from uuidfs.cli.outdated import outdated_command
from uuidfs.cli.output import EXIT_INTERRUPTED, fail, guarded, say
from uuidfs.cli.reconcile import reconcile_command
from uuidfs.cli.rename import rename_command
from uuidfs.cli.sessions import lock_command, session_app
from uuidfs.cli.status import check_command, path_command, status_command
from uuidfs.cli.systemd import systemd_app
from uuidfs.cli.trash import trash_app
from uuidfs.cli.undelete import undelete_command
from uuidfs.errors import EXIT_USAGE

# Newer typers carry their own copy of click: its base class is found through what they export.
ClickException = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


app = typer.Typer(
    name="uuidfs",
    help="UUID-named files for libvirt domains, behind name symlinks, on stock libvirt.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("convert")(convert_command)
app.command("revert")(revert_command)
app.command("status")(status_command)
app.command("check")(check_command)
app.command("path")(path_command)
app.command("log")(log_command)
app.command("history")(history_command)
app.add_typer(hook_app, name="hook")
app.add_typer(trash_app, name="trash")
app.command("undelete")(undelete_command)
app.add_typer(config_app, name="config")
app.add_typer(systemd_app, name="systemd")
app.command("reconcile")(reconcile_command)
app.command("outdated")(outdated_command)
app.command("local-migrate")(local_migrate_command)
app.command("rename")(rename_command)
app.command("lock")(lock_command)
app.add_typer(session_app, name="session")


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
