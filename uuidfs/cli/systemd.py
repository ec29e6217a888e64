"""``uuidfs systemd``: the units, where no package has brought them."""

from typing import TYPE_CHECKING

import typer

from uuidfs.cli.lazy import HelpCommand, group
from uuidfs.cli.options import CONNECT, JSON, ROOT, layout_of
from uuidfs.cli.output import say
from uuidfs.errors import EXIT_FAILED, EXIT_OK, show

if TYPE_CHECKING:
    from uuidfs.host.systemd import UnitState

systemd_app = group("Install, remove or inspect the systemd units.")


LATER = "uuidfs: no systemd runs here; on the host: systemctl enable --now uuidfs.service"


@systemd_app.command("install", cls=HelpCommand)
def systemd_install(ctx: typer.Context, root: str = ROOT, connect: str = CONNECT) -> None:
    """Install the units for this installation's program, enable and start them.

    It is for a uuidfs that no package has installed: packages bring the units.

    Examples:
        sudo ~/.local/bin/uuidfs systemd install
    """
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


@systemd_app.command("remove", cls=HelpCommand)
def systemd_remove(ctx: typer.Context, root: str = ROOT, connect: str = CONNECT) -> None:
    """Stop, disable and remove them; units of a package are never touched.

    Examples:
        uuidfs systemd remove
    """
    from uuidfs.host import systemd

    layout = layout_of(ctx, root, connect)
    ours = [unit.name for unit in systemd.status(layout) if unit.installed and not unit.packaged]
    if ours:
        systemd.systemctl(layout, ("disable", "--now", *ours))
    say(f"removed {show(unit.path)}" for unit in systemd.remove(layout) if unit.changed)
    if ours:
        systemd.systemctl(layout, ("daemon-reload",))


@systemd_app.command("status", cls=HelpCommand)
def systemd_status(
    ctx: typer.Context, as_json: bool = JSON, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Tell where the units are, whose they are, and what they run.

    Exit status 1 says that one of them is not installed.

    Examples:
        uuidfs systemd status
    """
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
                            "packaged": unit.packaged,
                        }
                        for unit in units
                    ]
                )
            ]
        )
    else:
        say(_line(unit) for unit in units)
    raise typer.Exit(EXIT_OK if all(unit.installed for unit in units) else EXIT_FAILED)


def _line(unit: "UnitState") -> str:
    if unit.command is not None:
        return f"{unit.name}: {'of a package, ' if unit.packaged else ''}runs {show(unit.command)}"
    if unit.foreign:
        return f"{unit.name}: somebody else's, {show(unit.path)}"
    return f"{unit.name}: not installed; run: uuidfs systemd install"
