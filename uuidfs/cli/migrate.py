"""``uuidfs local-migrate``: one guest, or an operation on a host."""

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import typer

from uuidfs.cli.options import (
    ALL,
    CONNECT,
    DOMAINS,
    DRY_RUN,
    JSON,
    LOCK_TIMEOUT,
    ROOT,
    layout_of,
    moment,
    patience,
    seconds,
)
from uuidfs.cli.output import say
from uuidfs.cli.render import migration
from uuidfs.errors import EXIT_BUSY, EXIT_OK, UsageError, UuidfsError
from uuidfs.layout.places import Layout
from uuidfs.runtime import sessions
from uuidfs.survey.resolve import resolve

if TYPE_CHECKING:
    from uuidfs.localmigration.choice import Needed
    from uuidfs.localmigration.hop import MigrationOptions
    from uuidfs.localmigration.results import Guest, TripResult

EMULATOR = typer.Option(
    None,
    "--emulator",
    metavar="FILE",
    show_default=False,
    help="Move to this QEMU binary; it stays the domain's.",
)

TIMEOUT = typer.Option(
    "0",
    "--timeout",
    metavar="TIME",
    show_default=False,
    help="Give a move up after so long, such as 90s or 10min; the guest stays. By default never.",
)

BANDWIDTH = typer.Option(
    0,
    "--bandwidth",
    metavar="MIB",
    min=0,
    help="Copy at most so many MiB a second; 0 for no limit.",
)

JOBS = typer.Option(1, "--jobs", metavar="N", min=1, help="Move so many domains at a time.")

OUTDATED = typer.Option(False, "--outdated", help="Take the guests that uuidfs outdated shows.")

RECOVER = typer.Option(
    False,
    "--recover",
    help="Finish the moves whose program has died; all of them, or those of DOMAIN.",
)

MAX_FAILURES = typer.Option(
    1,
    "--max-failures",
    metavar="N",
    min=0,
    help="Begin no other trip once so many have failed; 0 for never stop.",
)

PROGRESS = typer.Option(
    False,
    "--progress",
    help="With --json: an object a line for how far trips are; the last is the result.",
)

STARTED_BEFORE = typer.Option(
    None,
    "--started-before",
    metavar="TIME",
    show_default=False,
    help="Take only guests whose QEMU is older than a time such as 2026-11-26T14:30, or @SECONDS.",
)


def local_migrate_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    all_domains: bool = ALL,
    only_outdated: bool = OUTDATED,
    started_before: str = STARTED_BEFORE,
    emulator: str = EMULATOR,
    timeout: str = TIMEOUT,
    bandwidth: int = BANDWIDTH,
    jobs: int = JOBS,
    max_failures: int = MAX_FAILURES,
    recover: bool = RECOVER,
    dry_run: bool = DRY_RUN,
    as_json: bool = JSON,
    progress: bool = PROGRESS,
    lock_timeout: str = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Move running guests to fresh QEMU processes on this host.

    A guest goes on while it moves. One that cannot move is refused before anything is changed.

    Examples:
        uuidfs local-migrate web --dry-run   can it move?
        uuidfs local-migrate web
        uuidfs local-migrate --outdated --jobs 2
    """
    from uuidfs.localmigration import hop

    # Words are judged before rights: a wrong command is wrong for root, too.
    if progress and (not as_json or recover):
        raise UsageError("--progress is for moves with --json")
    if recover and (only_outdated or started_before is not None):
        word = "--outdated" if only_outdated else "--started-before"
        raise UsageError(f"--recover finishes every trip: leave {word} out")
    if not recover and bool(domains) + all_domains + only_outdated != 1:
        raise UsageError("give either the names or UUIDs of domains, or --all, or --outdated")
    if only_outdated and started_before is not None:
        raise UsageError("--outdated leaves out by itself what has moved, without --started-before")
    layout = system(layout_of(ctx, root, connect))
    options = hop.MigrationOptions(
        emulator,
        None,
        seconds("--timeout", timeout),
        bandwidth,
        patience(layout, lock_timeout),
        dry_run,
        None,
        threading.Event(),
    )
    if recover:
        _recover(layout, domains or (), options, jobs, as_json=as_json)
    wanted = _outdated(layout) if only_outdated else _wanted(layout, domains or (), started_before)
    _operate(layout, wanted, options, jobs, max_failures, as_json=as_json, live=progress)


class Wanted(NamedTuple):
    """Which guests an operation is for. ``domains``: those that may need a trip, by names or
    UUIDs; ``needed`` decides, at the beginning and again in a guest's turn, None for all of them.

    ``chosen``: nobody named them, so the smallest go first, and one that is off by now is fine.
    ``resumes``: after an early end the same command leaves out those that have moved.
    ``emulators``, by UUID: QEMU binaries that guests move to where --emulator names none.
    """

    domains: list[str]
    needed: "Needed | None"
    chosen: bool
    resumes: bool = False
    emulators: Mapping[str, str] = MappingProxyType({})


def _outdated(layout: Layout) -> Wanted:
    """Those that execute what is not on disk any more. Where a config names another emulator, that
    is where the guest goes: else a trip keeps what it was started with."""
    from uuidfs.cli.outdated import outdated_choice
    from uuidfs.localmigration import choice

    needed, emulators = outdated_choice(layout)
    return Wanted(choice.everybody(layout), needed, chosen=True, resumes=True, emulators=emulators)


def _wanted(layout: Layout, domains: Sequence[str], started_before: str | None) -> Wanted:
    """Those that are named, or all. Raises UsageError, LibvirtRefused, NoAnswer."""
    from uuidfs.localmigration import choice

    needed = None
    if started_before is not None:
        needed = choice.started_before(layout, moment(started_before))
    resumes = needed is not None
    if domains:
        return Wanted(list(domains), needed, chosen=False, resumes=resumes)
    everybody = choice.everybody(layout)
    return Wanted(everybody, needed or choice.runs(layout), chosen=True, resumes=resumes)


def _operate(
    layout: Layout,
    wanted: Wanted,
    options: "MigrationOptions",
    jobs: int,
    max_failures: int,
    *,
    as_json: bool,
    live: bool,
) -> NoReturn:
    """Move those that are wanted, and tell what came of it."""
    from uuidfs.cli import operation
    from uuidfs.cli.journal import Journal
    from uuidfs.localmigration import choice, migrate
    from uuidfs.localmigration.budget import Budget
    from uuidfs.localmigration.operation import Manner

    guests, lives = choice.look(layout, wanted.domains, by_size=wanted.chosen)
    whole = wanted.chosen or len(guests) > 1

    def trip(guest: "Guest") -> "TripResult":
        emulator = options.emulator or wanted.emulators.get(guest.uuid)
        chosen = options._replace(emulator=emulator, progress=teller.progress)
        return migrate.local_migrate(layout, guest.wanted, chosen)

    manner = Manner(jobs, max_failures, options.cancelled)
    with contextlib.ExitStack() as stack:
        journal = None if options.dry_run else stack.enter_context(Journal())
        teller = operation.Teller(
            len(guests), options.cancelled, journal, as_json=as_json, whole=whole, live=live
        )
        result = operation.trips(
            guests,
            trip,
            manner,
            Budget(layout, {} if options.dry_run else lives),
            teller,
            wanted.needed,
        )
    if as_json:
        last = migration.result_line if live else migration.operation_json
        operation.finish(result, teller, [last(result)])
    lines = migration.summary_lines(result, dry_run=options.dry_run) if whole else []
    left = migration.stopped_lines(result, resumes=wanted.resumes)
    operation.finish(result, teller, lines, left)


def _recover(
    layout: Layout,
    domains: Sequence[str],
    options: "MigrationOptions",
    jobs: int,
    *,
    as_json: bool,
) -> NoReturn:
    """Finish what dead owners began; one that fails keeps nobody from the others."""
    from uuidfs.cli import operation
    from uuidfs.localmigration import migrate
    from uuidfs.localmigration.budget import Budget
    from uuidfs.localmigration.operation import Manner
    from uuidfs.localmigration.results import Guest

    uuids = [resolve(layout, each)[0] for each in domains] or sessions.orphans(layout)
    if not uuids:
        _nothing_to_recover(layout, as_json=as_json)
    guests = [Guest(uuid, uuid, uuid) for uuid in dict.fromkeys(uuids)]
    teller = operation.Teller(len(guests), options.cancelled, as_json=as_json)
    options = options._replace(progress=teller.progress)
    result = operation.trips(
        guests,
        lambda guest: migrate.recover(layout, guest.uuid, options),
        Manner(jobs, cancelled=options.cancelled),
        Budget(layout, {}),
        teller,
    )
    operation.finish(result, teller, [migration.trips_json(result.trips)] if as_json else [])


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


def system(layout: Layout) -> Layout:
    """The layout itself. Raises UsageError where it is not this host's own, and UuidfsError for who
    is not root: QEMU's processes, locks and sessions are closed to all others, also to the members
    of libvirt's group."""
    if layout.uri != "qemu:///system" or not layout.live:
        raise UsageError("local migration is for qemu:///system on this host")
    if os.geteuid() != 0:
        raise UuidfsError("this needs the rights of root: run as root")
    return layout
