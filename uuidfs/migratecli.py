"""``uuidfs local-migrate``, ``rename``, ``lock`` and ``session``."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from uuidfs import peers, render_trip, sessions
from uuidfs.dirs import Dirs
from uuidfs.errors import EXIT_BUSY, EXIT_FAILED, EXIT_OK, NoSuchDomain, UsageError
from uuidfs.layout import Layout
from uuidfs.locks import DEFAULT_TIMEOUT, Locks
from uuidfs.operate import find
from uuidfs.options import (
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
from uuidfs.outcome import say
from uuidfs.scan import Scan, scan_all
from uuidfs.survey import Surveyor
from uuidfs.xmlread import read_lxml

if TYPE_CHECKING:
    from uuidfs.hops import Hop
    from uuidfs.trip import TripResult

session_app = typer.Typer(
    help="Sessions of local migrations, for helpers in other languages.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
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
WAIT = typer.Option(
    DEFAULT_TIMEOUT, "--timeout", metavar="SECONDS", min=0.0, help="How long to wait for the lock."
)
PID = typer.Option(
    0,
    "--pid",
    metavar="PID",
    show_default=False,
    help="The session's owner; by default the process that runs this command.",
)
LOCKED = typer.Option(False, "--locked", help="The caller holds the domain's lock.")
COMMAND = typer.Argument(..., metavar="COMMAND...", help="What to run.")
NEW = typer.Argument(..., metavar="NEW", help="The new name.")
PHASE = typer.Argument(..., metavar="PHASE", help="|".join(sessions.PHASES))
TOOL = typer.Option("", "--tool", metavar="TEXT", show_default=False, help="What people see.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("local-migrate")(local_migrate)
    app.command("rename")(rename)
    app.command("lock")(lock)
    app.add_typer(session_app, name="session")


def resolve(layout: Layout, domain: str) -> tuple[str, str | None]:
    """The UUID and the name that a name, a UUID or a peer's UUID stands for."""
    with Dirs(layout) as dirs:
        scan = scan_all(Surveyor(dirs, read_lxml).documents)
    try:
        uuid = find(scan, domain)
    except NoSuchDomain:
        uuid = _real(layout, scan, domain)
    names = scan.names_of.get(uuid, [])
    return uuid, names[0] if names else None


def _real(layout: Layout, scan: Scan, domain: str) -> str:
    migration = peers.migration_uuid(layout)
    if migration is None or len(domain) < 32:
        raise NoSuchDomain(domain)
    try:
        return find(scan, peers.exchanged(domain, migration))
    except ValueError:
        raise NoSuchDomain(domain) from None


def local_migrate(
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
    from uuidfs import hops, trip, virt

    layout = _system(layout_of(ctx, root, connect))
    lock_timeout = patience(layout, lock_timeout)
    wishes = hops.Wishes(
        emulator,
        None,
        timeout,
        bandwidth,
        lock_timeout,
        dry_run,
        _Bar() if sys.stderr.isatty() and jobs == 1 else None,
    )
    if recover:
        chosen = [resolve(layout, d)[0] for d in domains or ()] or sessions.orphans(layout)
        calls = [partial(trip.recover, layout, uuid, wishes) for uuid in chosen]
    else:
        if bool(domains) == all_domains:
            raise UsageError("give either the names or UUIDs of domains, or --all")
        chosen = list(domains or ()) or virt.running(layout.uri)
        calls = [partial(trip.local_migrate, layout, domain, wishes) for domain in chosen]
    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(trip.errors, calls, chosen))
    _finish(results, as_json=as_json, dry_run=dry_run)


def _finish(results: "list[TripResult]", *, as_json: bool, dry_run: bool = False) -> None:
    if as_json:
        say([render_trip.trips_json(results)])
    else:
        say(render_trip.trip_lines(results, dry_run=dry_run), render_trip.trip_errors(results))
    if any(r.error is not None and not r.busy for r in results):
        raise typer.Exit(EXIT_FAILED)
    raise typer.Exit(EXIT_BUSY if any(r.busy for r in results) else EXIT_OK)


def _system(layout: Layout) -> Layout:
    if layout.uri != "qemu:///system" or not layout.live:
        raise UsageError("local migration is for qemu:///system on this host")
    return layout


def rename(
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
    from uuidfs import hops, renaming, trip

    layout = _system(layout_of(ctx, root, connect))
    lock_timeout = patience(layout, lock_timeout)
    if live:
        progress = _Bar() if sys.stderr.isatty() else None
        wishes = hops.Wishes(new_name=new, lock_timeout=lock_timeout, progress=progress)
        _finish([trip.local_migrate(layout, old, wishes)], as_json=as_json)
    _finish([renaming.rename(layout, old, new, lock_timeout)], as_json=as_json)


class _Bar:
    """A progress bar a hop."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._number = 0
        self._shown = 0

    def __call__(self, name: str, hop: "Hop") -> None:
        if self._bar is None or hop.number != self._number:
            self._number, self._shown = hop.number, 0
            self._bar = typer.progressbar(
                length=max(hop.total, 1),
                file=sys.stderr,
                item_show_func=lambda text: text,
                label=f"{name} {'out' if hop.number == 1 else 'home'}",
            )
            self._bar.__enter__()
        done = max(0, hop.total - hop.remaining)
        text = f"{hop.transferred >> 20} MiB, {hop.remaining >> 20} MiB remain"
        if hop.downtime is not None:
            text = f"{hop.transferred >> 20} MiB, downtime {hop.downtime} ms"
            done = max(hop.total, 1)
        self._bar.update(max(0, done - self._shown), text)
        self._shown = max(self._shown, done)
        if hop.downtime is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


def lock(
    ctx: typer.Context,
    domain: str = DOMAIN,
    command: list[str] = COMMAND,
    timeout: float = WAIT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Run a command with a domain's lock held; its exit code is this one's."""
    layout = layout_of(ctx, root, connect)
    uuid, _ = resolve(layout, domain)
    session = sessions.read(layout, uuid)
    owner = session is not None and sessions.mine(session)
    with Locks(layout, timeout, owner=owner).hold(uuid):
        try:
            done = subprocess.run(command, check=False, env=os.environ | {"UUIDFS_UUID": uuid})  # noqa: S603 - what the user asks for
        except OSError as error:
            raise UsageError(f"cannot run {command[0]}: {error.strerror}") from error
    raise typer.Exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)


@session_app.command("begin")
def session_begin(
    ctx: typer.Context,
    domain: str = DOMAIN,
    pid: int = PID,
    tool: str = TOOL,
    locked: bool = LOCKED,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Open a session; prints the peer's UUID and name."""
    layout = layout_of(ctx, root, connect)
    uuid, name = resolve(layout, domain)
    if name is None:
        raise NoSuchDomain(domain)
    pid = pid or os.getppid()
    if locked:
        session = sessions.begin(layout, uuid, name, pid=pid, tool=tool or "a script")
    else:
        with Locks(layout, DEFAULT_TIMEOUT).hold(uuid):
            session = sessions.begin(layout, uuid, name, pid=pid, tool=tool or "a script")
    say([f"{session.peer_uuid} {session.peer_name}"])


@session_app.command("phase")
def session_phase(
    ctx: typer.Context,
    domain: str = DOMAIN,
    phase: str = PHASE,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Say how far the session is."""
    layout = layout_of(ctx, root, connect)
    sessions.change(layout, _own(layout, domain), phase=phase)


@session_app.command("end")
def session_end(
    ctx: typer.Context, domain: str = DOMAIN, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Close the session, and bring the domain's files up to date."""
    from uuidfs.trip import catch_up

    layout = layout_of(ctx, root, connect)
    session = _own(layout, domain)
    sessions.end(layout, session)
    catch_up(layout, session.uuid)


def _own(layout: Layout, domain: str) -> sessions.Session:
    uuid, _ = resolve(layout, domain)
    session = sessions.read(layout, uuid)
    if session is None:
        raise sessions.NoSession(domain)
    # One whose owner is dead belongs to whoever cleans up.
    if session.alive and not sessions.mine(session):
        raise sessions.NotOwner(session)
    return session


@session_app.command("list")
def session_list(
    ctx: typer.Context, as_json: bool = JSON, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Show all sessions."""
    found = sessions.all_sessions(layout_of(ctx, root, connect))
    say([render_trip.sessions_json(found)] if as_json else render_trip.session_lines(found))
