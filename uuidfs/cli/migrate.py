"""``uuidfs local-migrate`` and ``uuidfs rename``."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import typer

from uuidfs.cli.options import (
    ALL,
    CONNECT,
    DOMAIN,
    DOMAINS,
    DRY_RUN,
    JSON,
    LOCK_TIMEOUT,
    ROOT,
    layout_of,
    patience,
)
from uuidfs.cli.output import say
from uuidfs.cli.progress import HopBar
from uuidfs.cli.render import migration
from uuidfs.errors import EXIT_BUSY, EXIT_FAILED, EXIT_OK, UsageError
from uuidfs.layout.places import Layout
from uuidfs.runtime import sessions
from uuidfs.survey.resolve import resolve

if TYPE_CHECKING:
    from uuidfs.localmigration.migrate import TripResult

EMULATOR = typer.Option(
    None,
    "--emulator",
    metavar="PATH",
    show_default=False,
    help="The QEMU binary to move to; it stays the domain's.",
)

TIMEOUT = typer.Option(
    0.0,
    "--timeout",
    metavar="SECONDS",
    min=0.0,
    help="Give a hop up after so long, the guest stays; 0 for never.",
)

BANDWIDTH = typer.Option(
    0, "--bandwidth", metavar="MIB", min=0, help="At most so many MiB a second; 0 for no limit."
)

JOBS = typer.Option(1, "--jobs", metavar="N", min=1, help="So many domains at a time.")

RECOVER = typer.Option(False, "--recover", help="Finish what a dead owner began.")

LIVE = typer.Option(False, "--live", help="A running domain, by a local migration.")

NEW = typer.Argument(..., metavar="NEW", help="The new name.")


def local_migrate_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    all_domains: bool = ALL,
    emulator: str = EMULATOR,
    timeout: float = TIMEOUT,
    bandwidth: int = BANDWIDTH,
    jobs: int = JOBS,
    recover: bool = RECOVER,
    dry_run: bool = DRY_RUN,
    as_json: bool = JSON,
    lock_timeout: float = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Move running guests to fresh QEMU processes on this host."""
    from uuidfs.localmigration import connection, hop, migrate

    layout = _system(layout_of(ctx, root, connect))
    lock_timeout = patience(layout, lock_timeout)
    options = hop.MigrationOptions(
        emulator,
        None,
        timeout,
        bandwidth,
        lock_timeout,
        dry_run,
        HopBar() if sys.stderr.isatty() and jobs == 1 else None,
    )
    if recover:
        chosen = [resolve(layout, d)[0] for d in domains or ()] or sessions.orphans(layout)
        calls = [partial(migrate.recover, layout, uuid, options) for uuid in chosen]
    else:
        if bool(domains) == all_domains:
            raise UsageError("give either the names or UUIDs of domains, or --all")
        chosen = list(domains or ()) or connection.running(layout.uri)
        calls = [partial(migrate.local_migrate, layout, domain, options) for domain in chosen]
    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(migrate.errors, calls, chosen))
    _finish(results, as_json=as_json, dry_run=dry_run)


def _finish(results: "list[TripResult]", *, as_json: bool, dry_run: bool = False) -> None:
    if as_json:
        say([migration.trips_json(results)])
    else:
        say(migration.trip_lines(results, dry_run=dry_run), migration.trip_errors(results))
    if any(r.error is not None and not r.busy for r in results):
        raise typer.Exit(EXIT_FAILED)
    raise typer.Exit(EXIT_BUSY if any(r.busy for r in results) else EXIT_OK)


def _system(layout: Layout) -> Layout:
    if layout.uri != "qemu:///system" or not layout.live:
        raise UsageError("local migration is for qemu:///system on this host")
    return layout


def rename_command(
    ctx: typer.Context,
    old: str = DOMAIN,
    new: str = NEW,
    live: bool = LIVE,
    as_json: bool = JSON,
    lock_timeout: float = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Rename a domain: one that is shut off, or with --live a running one."""
    from uuidfs.localmigration import hop, migrate

    layout = _system(layout_of(ctx, root, connect))
    lock_timeout = patience(layout, lock_timeout)
    if live:
        progress = HopBar() if sys.stderr.isatty() else None
        options = hop.MigrationOptions(new_name=new, lock_timeout=lock_timeout, progress=progress)
        _finish([migrate.local_migrate(layout, old, options)], as_json=as_json)
    _finish([migrate.rename(layout, old, new, lock_timeout)], as_json=as_json)
