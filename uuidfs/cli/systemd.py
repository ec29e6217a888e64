"""``uuidfs systemd``: the units, where no package has brought them."""

import typer

from uuidfs.cli.options import CONNECT, JSON, ROOT, layout_of
from uuidfs.cli.output import say
from uuidfs.errors import EXIT_FAILED, EXIT_OK, show

systemd_app = typer.Typer(
    help="Install, remove or inspect the systemd units, where no package has.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


LATER = "uuidfs: no systemd runs here; on the host: systemctl enable --now uuidfs.service"


@systemd_app.command("install")
def systemd_install(ctx: typer.Context, root: str = ROOT, connect: str = CONNECT) -> None:
    """Install the units for this installation's program, enable and start them."""
    from uuidfs.host import systemd  # other commands do without subprocess

    layout = layout_of(ctx, root, connect)
    units = systemd.install(layout)
    say(f"installed {show(unit.path)}" for unit in units if unit.changed)
    changed = any(unit.changed for unit in units)
    told = systemd.systemctl(
        layout,
        ("daemon-reload",),
        ("enable", *systemd.ENABLED),
        ("restart" if changed else "start", "uuidfs.service"),
    )
    if not told:
        say([], [LATER])


@systemd_app.command("remove")
def systemd_remove(ctx: typer.Context, root: str = ROOT, connect: str = CONNECT) -> None:
    """Stop, disable and remove them; units of a package are never touched."""
    from uuidfs.host import systemd

    layout = layout_of(ctx, root, connect)
    ours = [unit.name for unit in systemd.status(layout) if unit.installed]
    if ours:
        systemd.systemctl(layout, ("disable", "--now", *ours))
    say(f"removed {show(unit.path)}" for unit in systemd.remove(layout) if unit.changed)
    if ours:
        systemd.systemctl(layout, ("daemon-reload",))


@systemd_app.command("status")
def systemd_status(
    ctx: typer.Context, as_json: bool = JSON, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Tell whether and where the units are installed; exit code 1 when they are not."""
    from uuidfs.cli.render import text
    from uuidfs.host import systemd

    units = systemd.status(layout_of(ctx, root, connect))
    if as_json:
        say(
            [
                text.as_json(
                    units=[
                        {
                            "name": unit.name,
                            "path": unit.path,
                            "installed": unit.installed,
                            "command": unit.command,
                            "foreign": unit.foreign,
                        }
                        for unit in units
                    ]
                )
            ]
        )
    else:
        say(
            f"{unit.name}: runs {show(unit.command)}"
            if unit.command is not None
            else f"{unit.name}: "
            + ("somebody else's" if unit.foreign else "not installed; run: uuidfs systemd install")
            for unit in units
        )
    raise typer.Exit(EXIT_OK if all(unit.installed for unit in units) else EXIT_FAILED)
