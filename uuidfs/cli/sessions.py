"""``uuidfs lock`` and ``uuidfs session``."""

import os
import subprocess

import typer

from uuidfs.cli.completion import phases, session_names
from uuidfs.cli.lazy import HelpCommand, group
from uuidfs.cli.options import CONNECT, DOMAIN, JSON, ROOT, layout_of, seconds
from uuidfs.cli.output import say
from uuidfs.cli.render import migration
from uuidfs.errors import NoSuchDomain, UsageError
from uuidfs.layout.places import Layout
from uuidfs.runtime import sessions
from uuidfs.runtime.domain_locks import DEFAULT_TIMEOUT, Locks
from uuidfs.survey.resolve import resolve

session_app = group("Sessions of local migrations, for helpers in other languages.")

WAIT = typer.Option(
    f"{DEFAULT_TIMEOUT:g}s",
    "--timeout",
    metavar="TIME",
    help="How long to wait for the lock, such as 30s or 2min.",
)

PID = typer.Option(
    0,
    "--pid",
    metavar="PID",
    show_default=False,
    help="The session's owner; by default the process that runs this command.",
)

LOCKED = typer.Option(False, "--locked", help="The caller holds the domain's lock.")

SESSION = typer.Argument(
    ..., metavar="DOMAIN", help="The domain, by its name or UUID.", autocompletion=session_names
)

COMMAND = typer.Argument(..., metavar="-- COMMAND...", help="What to run, with its options.")

PHASE = typer.Argument(
    ..., metavar="PHASE", help=f"One of {', '.join(sessions.PHASES)}.", autocompletion=phases
)

TOOL = typer.Option(
    "", "--tool", metavar="NAME", show_default=False, help="What people see of the owner."
)


def lock_command(
    ctx: typer.Context,
    domain: str = DOMAIN,
    command: list[str] = COMMAND,
    timeout: str = WAIT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Run a command with a domain's lock held.

    Its exit code becomes this one's. UUIDFS_UUID in its environment is the domain's UUID.

    Examples:
        uuidfs lock web -- cp -a /etc/libvirt/qemu /srv/backup
        uuidfs lock web --timeout 2min -- ./snapshot.sh
    """
    layout = layout_of(ctx, root, connect)
    uuid, _ = resolve(layout, domain)
    session = sessions.read(layout, uuid)
    owner = session is not None and sessions.mine(session)
    with Locks(layout, seconds("--timeout", timeout), owner=owner).hold(uuid):
        try:
            done = subprocess.run(command, check=False, env=os.environ | {"UUIDFS_UUID": uuid})  # noqa: S603 - what the user asks for
        except OSError as error:
            raise UsageError(f"cannot run {command[0]}: {error.strerror}") from error
    raise typer.Exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)


@session_app.command("begin", cls=HelpCommand)
def session_begin(
    ctx: typer.Context,
    domain: str = DOMAIN,
    pid: int = PID,
    tool: str = TOOL,
    locked: bool = LOCKED,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Open a session, and print the peer's UUID and name.

    Examples:
        uuidfs session begin web --tool "our mover"
    """
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


@session_app.command("phase", cls=HelpCommand)
def session_phase(
    ctx: typer.Context,
    domain: str = SESSION,
    phase: str = PHASE,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Say how far the session is.

    Examples:
        uuidfs session phase web out
    """
    layout = layout_of(ctx, root, connect)
    sessions.change(layout, _own(layout, domain), phase=phase)


@session_app.command("end", cls=HelpCommand)
def session_end(
    ctx: typer.Context, domain: str = SESSION, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Close the session, and bring the domain's files up to date.

    Examples:
        uuidfs session end web
    """
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


@session_app.command("list", cls=HelpCommand)
def session_list(
    ctx: typer.Context, as_json: bool = JSON, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Show all sessions.

    Examples:
        uuidfs session list
    """
    found = sessions.all_sessions(layout_of(ctx, root, connect))
    say([migration.sessions_json(found)] if as_json else migration.session_lines(found))
