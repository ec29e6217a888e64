"""``uuidfs rename``: a domain that is off, or by a local migration a running one."""

import threading

import typer

from uuidfs.cli.migrate import system
from uuidfs.cli.options import (
    CONNECT,
    DOMAIN,
    JSON,
    LOCK_TIMEOUT,
    ROOT,
    layout_of,
    patience,
)
from uuidfs.cli.output import say
from uuidfs.cli.render import migration

LIVE = typer.Option(False, "--live", help="Rename a running domain, by a local migration.")

NEW = typer.Argument(..., metavar="NEW", help="The new name.")


def rename_command(
    ctx: typer.Context,
    old: str = DOMAIN,
    new: str = NEW,
    live: bool = LIVE,
    as_json: bool = JSON,
    lock_timeout: str = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Rename a domain; with --live, one that is running.

    Examples:
        uuidfs rename web shop
        uuidfs rename web shop --live
    """
    layout = system(layout_of(ctx, root, connect))
    wait = patience(layout, lock_timeout)
    if not live:
        from uuidfs.localmigration.rename import rename

        done = [rename(layout, old, new, wait)]
        say([migration.trips_json(done)] if as_json else migration.trip_lines(done))
        return
    from uuidfs.cli import operation
    from uuidfs.localmigration import hop, migrate
    from uuidfs.localmigration.budget import Budget
    from uuidfs.localmigration.operation import Manner
    from uuidfs.localmigration.results import Guest

    options = hop.MigrationOptions(new_name=new, lock_timeout=wait, cancelled=threading.Event())
    teller = operation.Teller(1, options.cancelled, as_json=as_json)
    options = options._replace(progress=teller.progress)
    result = operation.trips(
        [Guest(old, old, "")],
        lambda guest: migrate.local_migrate(layout, guest.wanted, options),
        Manner(cancelled=options.cancelled),
        Budget(layout, {}),
        teller,
    )
    operation.finish(result, teller, [migration.trips_json(result.trips)] if as_json else [])
