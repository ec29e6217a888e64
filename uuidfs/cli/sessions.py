"""``uuidfs lock`` and ``uuidfs session``."""

import os
import subprocess

import typer

from uuidfs.cli.options import CONNECT, DOMAIN, JSON, ROOT, layout_of
from uuidfs.cli.output import say
from uuidfs.cli.render import migration
from uuidfs.errors import NoSuchDomain, UsageError
from uuidfs.layout.places import Layout
from uuidfs.runtime import sessions
from uuidfs.runtime.domain_locks import DEFAULT_TIMEOUT, Locks
from uuidfs.survey.resolve import resolve

session_app = typer.Typer(
    help="Sessions of local migrations, for helpers in other languages.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

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

PHASE = typer.Argument(..., metavar="PHASE", help="|".join(sessions.PHASES))

TOOL = typer.Option("", "--tool", metavar="TEXT", show_default=False, help="What people see.")


def lock_command(
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
    from uuidfs.localmigration.migrate import catch_up

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
    say([migration.sessions_json(found)] if as_json else migration.session_lines(found))
