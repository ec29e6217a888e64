"""``uuidfs reconcile``: the daemon in the foreground, or one full pass."""

import typer

from uuidfs.cli.options import CONNECT, JSON, ROOT, layout_of
from uuidfs.cli.output import carry_out, cpus
from uuidfs.convert.results import Options
from uuidfs.errors import UsageError

ONCE = typer.Option(False, "--once", help="Make one full pass and end; for timers and scripts.")


def reconcile_command(
    ctx: typer.Context,
    once: bool = ONCE,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Keep the links right while libvirt works; for the service.

    It stays in the foreground, and writes log lines.

    Examples:
        systemctl start uuidfs
        uuidfs reconcile --once
    """
    # Other commands do without watchdog.
    from uuidfs import settings
    from uuidfs.keepsakes.tend import keeper
    from uuidfs.reconcile.full_pass import BY
    from uuidfs.reconcile.full_pass import once as full_pass
    from uuidfs.reconcile.service import Service

    layout = layout_of(ctx, root, connect)
    if once:
        found = settings.load(layout)
        options = Options(
            lock_timeout=0.0,
            cpus=cpus(),
            kinds=found.kinds,
            by=BY,
            keeper=keeper(secrets=found.keep_secrets, by=BY),
        )
        raise typer.Exit(carry_out(full_pass, layout, options, as_json=as_json))
    if as_json:
        raise UsageError("--json goes with --once: the daemon writes log lines")
    Service(layout).run()
