"""``uuidfs hook``."""

import typer

from uuidfs.cli.lazy import HelpCommand, group
from uuidfs.cli.options import CONNECT, JSON, ROOT, layout_of
from uuidfs.cli.output import say
from uuidfs.cli.render import text
from uuidfs.errors import EXIT_FAILED, EXIT_OK, show
from uuidfs.host import hook_file
from uuidfs.host.libvirtd import owe, refuse_elsewhere, send_reload

hook_app = group("Install, remove or inspect libvirt's qemu hook.")


RELOAD = typer.Option(
    False, "--reload", help="Make the running daemon notice the first hook (SIGHUP)."
)


@hook_app.command("install", cls=HelpCommand)
def hook_install(
    ctx: typer.Context, tell: bool = RELOAD, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Install the hook, beside a foreign one where there is one.

    Examples:
        uuidfs hook install --reload
    """
    layout = layout_of(ctx, root, connect)
    if tell:
        refuse_elsewhere(layout)
        if not hook_file.status(layout).installed:
            owe(layout)
    result = hook_file.install(layout)
    say([f"installed {result.path}"] if result.changed else [])
    if tell:
        say(f"reloaded {daemon}" for daemon in send_reload(layout).daemons)
    elif result.reload:
        say([], [hook_file.RELOAD])


@hook_app.command("remove", cls=HelpCommand)
def hook_remove(ctx: typer.Context, root: str = ROOT, connect: str = CONNECT) -> None:
    """Remove the hook; a foreign one is never touched.

    Examples:
        uuidfs hook remove
    """
    result = hook_file.remove(layout_of(ctx, root, connect))
    say([f"removed {result.path}"] if result.changed else [])


@hook_app.command("status", cls=HelpCommand)
def hook_status(
    ctx: typer.Context, as_json: bool = JSON, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Tell whether and where the hook is installed.

    Exit status 1 says that it is not.

    Examples:
        uuidfs hook status
    """
    result = hook_file.status(layout_of(ctx, root, connect))
    if as_json:
        say(
            [
                text.as_json(
                    installed=result.installed,
                    path=result.path,
                    foreign=list(result.foreign),
                    interpreter=result.interpreter,
                )
            ]
        )
    else:
        lines = [
            f"installed as {result.path}, runs {result.interpreter}"
            if result.installed
            else "not installed; run: uuidfs hook install"
        ]
        lines += [f"somebody else's hook: {show(path_command)}" for path_command in result.foreign]
        say(lines)
    raise typer.Exit(EXIT_OK if result.installed else EXIT_FAILED)
