"""``uuidfs local-migrate`` and ``uuidfs rename``."""

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NoReturn

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
from uuidfs.cli.outdated import outdated_trips
from uuidfs.cli.output import say
from uuidfs.cli.progress import HopBar
from uuidfs.cli.render import migration
from uuidfs.errors import EXIT_BUSY, EXIT_FAILED, EXIT_OK, UsageError
from uuidfs.layout.places import Layout
from uuidfs.runtime import sessions
from uuidfs.survey.resolve import resolve

if TYPE_CHECKING:
    from uuidfs.localmigration.hop import MigrationOptions
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
    help="Give the way out up after so long, the guest stays; 0 for never.",
)

BANDWIDTH = typer.Option(
    0, "--bandwidth", metavar="MIB", min=0, help="At most so many MiB a second; 0 for no limit."
)

JOBS = typer.Option(1, "--jobs", metavar="N", min=1, help="So many domains at a time.")

OUTDATED = typer.Option(False, "--outdated", help="Those that uuidfs outdated shows.")

RECOVER = typer.Option(False, "--recover", help="Finish what a dead owner began.")

LIVE = typer.Option(False, "--live", help="A running domain, by a local migration.")

NEW = typer.Argument(..., metavar="NEW", help="The new name.")


def local_migrate_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    all_domains: bool = ALL,
    only_outdated: bool = OUTDATED,
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
        threading.Event(),
        jobs,
    )
    calls: Sequence[Callable[[], TripResult]]
    if recover:
        chosen = [resolve(layout, d)[0] for d in domains or ()] or sessions.orphans(layout)
        if not chosen:
            _nothing_to_recover(layout, as_json=as_json)
        calls = [partial(migrate.recover, layout, uuid, options) for uuid in chosen]
    else:
        if bool(domains) + all_domains + only_outdated != 1:
            raise UsageError("give either the names or UUIDs of domains, or --all, or --outdated")
        if only_outdated:
            chosen, calls = outdated_trips(layout, options)
        else:
            chosen = list(domains or ()) or connection.running(layout.uri)
            calls = [partial(migrate.local_migrate, layout, domain, options) for domain in chosen]
    options = options._replace(jobs=min(jobs, len(chosen)) or 1)
    results = _together(calls, chosen, options)
    _finish(results, as_json=as_json, dry_run=dry_run)


def _nothing_to_recover(layout: Layout, *, as_json: bool) -> NoReturn:
    """Who is at it, where somebody is: then that is busy."""
    at_it = [one for one in sessions.all_sessions(layout) if one.alive]
    if as_json:
        say([migration.trips_json([])])
    elif at_it:
        say([], [migration.at_it_line(one) for one in at_it])
    else:
        say(["no migration is left to recover"])
    raise typer.Exit(EXIT_BUSY if at_it else EXIT_OK)


def _together(
    calls: "Sequence[Callable[[], TripResult]]", names: list[str], options: "MigrationOptions"
) -> "list[TripResult]":
    """Run the trips, some at a time; SIGINT and SIGTERM bring those under way to their end.

    Without that, a signal would end the main thread while trips go on in others. A guest that is
    on its way out stays, one in the peer goes home; what has not begun does not begin.
    """
    from uuidfs.localmigration import migrate

    def interrupted(_number: int, _frame: object) -> None:
        if not options.cancelled.is_set():
            say([], ["uuidfs: interrupted; guests that are away come home first"])
        options.cancelled.set()

    def one(call: "Callable[[], TripResult]", name: str) -> "TripResult":
        if options.cancelled.is_set():
            return migrate.TripResult(name, "", error="not begun: interrupted")
        return migrate.errors(call, name)

    before = {n: signal.signal(n, interrupted) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            return list(pool.map(one, calls, names))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
        options = hop.MigrationOptions(
            new_name=new,
            lock_timeout=lock_timeout,
            progress=progress,
            cancelled=threading.Event(),
        )
        call = partial(migrate.local_migrate, layout, old, options)
        _finish(_together([call], [old], options), as_json=as_json)
    _finish([migrate.rename(layout, old, new, lock_timeout)], as_json=as_json)
